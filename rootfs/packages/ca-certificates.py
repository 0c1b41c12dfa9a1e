# SPDX-License-Identifier: Apache-2.0
# Reads Mozilla's certdata.txt (NSS) and prints, as PEM, the certificates that it trusts to vouch
# for servers. Names in the file given second (one quoted label a line) are left out.
import base64
import re
import sys
import textwrap


def objects(lines):
    """Each object of the file as a dict of its attributes; octal data as bytes."""
    obj, octal, name = {}, None, None
    for line in lines:
        line = line.strip()
        if octal is not None:
            if line == "END":
                obj[name], octal = bytes(octal), None
            else:
                octal += [int(o, 8) for o in line.split("\\")[1:]]
            continue
        if line.startswith("#") or line == "BEGINDATA":
            continue
        if not line:
            if obj:
                yield obj
            obj = {}
            continue
        name, kind, *value = line.split(None, 2)
        if kind == "MULTILINE_OCTAL":
            octal = []
        else:
            obj[name] = value[0] if value else ""
    if obj:
        yield obj


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        all_objects = list(objects(f))
    with open(sys.argv[2], encoding="utf-8") as f:
        blocked = set(re.findall(r'^".*"', f.read(), re.M))
    trusted = {
        (o["CKA_ISSUER"], o["CKA_SERIAL_NUMBER"])
        for o in all_objects
        if o.get("CKA_CLASS") == "CKO_NSS_TRUST" and o.get("CKA_TRUST_SERVER_AUTH") == "CKT_NSS_TRUSTED_DELEGATOR"
    }
    found = []
    for o in all_objects:
        if o.get("CKA_CLASS") != "CKO_CERTIFICATE" or o["CKA_LABEL"] in blocked:
            continue
        if (o["CKA_ISSUER"], o["CKA_SERIAL_NUMBER"]) in trusted:
            found.append((o["CKA_LABEL"], o["CKA_VALUE"]))
    if not found:
        sys.exit("certdata: no trusted certificate found")
    for _, der in sorted(found):
        body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
        print(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----")


main()
