#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks a document by the rules of SPDX 2.3 that it can break (the sections are those of the
specification); prints each violation and exits 1.

	spdx-check.py FILE
"""
import hashlib
import json
import re
import sys

# Of the SPDX licence list, what Debian's packages of this kind carry; and the exceptions.
LICENCES = set("""Apache-2.0 MIT BSD-2-Clause BSD-3-Clause GPL-2.0-only GPL-2.0-or-later GPL-3.0-or-later
    LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-or-later MPL-2.0 Zlib curl ISC""".split())
EXCEPTIONS = {"Linux-syscall-note", "GCC-exception-3.1"}
PURPOSES = set("APPLICATION FRAMEWORK LIBRARY CONTAINER OPERATING-SYSTEM DEVICE FIRMWARE SOURCE ARCHIVE FILE INSTALL OTHER".split())
HEX = {"SHA1": 40, "SHA256": 64, "SHA512": 128}
problems = []


def expect(condition, text):
    if not condition:
        problems.append(text)


def parse_expression(tokens):
    """Annex D.2: (licence [WITH exception] | "(" expression ")") { (AND | OR) ... }, by a stack of depths."""
    depth, operand, i = 0, True, 0
    while i < len(tokens):
        t = tokens[i]
        if operand and t == "(":
            depth += 1
        elif operand:
            if t.rstrip("+") not in LICENCES and not re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", t):
                return False
            if tokens[i + 1:i + 2] == ["WITH"]:
                if tokens[i + 2:i + 3] == [] or tokens[i + 2] not in EXCEPTIONS:
                    return False
                i += 2
            operand = False
        elif t == ")" and depth:
            depth -= 1
        elif t in ("AND", "OR"):
            operand = True
        else:
            return False
        i += 1
    return not operand and depth == 0


def check_licence(where, text):
    if text in ("NOASSERTION", "NONE"):
        return
    expect(parse_expression(re.findall(r"[()]|[^\s()]+", text)), "%s: licence expression %r" % (where, text))


def check_checksums(where, element, needed):
    seen = set()
    for c in element.get("checksums", []):
        a, v = c.get("algorithm"), c.get("checksumValue", "")
        expect(a in HEX and re.fullmatch("[0-9a-f]{%d}" % HEX.get(a, 1), v), "%s: checksum %r" % (where, c))
        expect(a not in seen, "%s: %s twice" % (where, a))
        seen.add(a)
    for a in needed:
        expect(a in seen, "%s: no %s" % (where, a))


def strings(where, element, names):
    for n in names:
        expect(isinstance(element.get(n), str) and element[n], "%s: no %s" % (where, n))


with open(sys.argv[1], encoding="utf-8") as f:
    doc = json.load(f)

# Section 6: the document.
strings("document", doc, ["spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace"])
expect(doc["spdxVersion"] == "SPDX-2.3", "spdxVersion")
expect(doc["dataLicense"] == "CC0-1.0", "dataLicense (6.2)")
expect(doc["SPDXID"] == "SPDXRef-DOCUMENT", "the document's id (6.3)")
expect(re.fullmatch(r"[a-z][a-z0-9+.-]*:[^#\s]+", doc["documentNamespace"]), "documentNamespace (6.5): an absolute URI without '#'")
info = doc.get("creationInfo", {})
expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", info.get("created", "")), "created (6.9)")
expect(info.get("creators") and all(re.match(r"(Tool|Person|Organization): \S", c) for c in info["creators"]), "creators (6.8)")

elements = {"SPDXRef-DOCUMENT": doc}
for kind in ("packages", "files"):
    expect(isinstance(doc.get(kind), list), "no " + kind)
    for e in doc.get(kind, []):
        i = e.get("SPDXID", "")
        expect(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i), "id %r (3.2)" % i)
        expect(i not in elements, "id %s twice" % i)
        elements[i] = e

# Section 11: relationships.
contains = {}
described = []
KINDS = {"DESCRIBES", "CONTAINS", "GENERATED_FROM", "STATIC_LINK", "DEPENDS_ON"}
for r in doc.get("relationships", []):
    a, kind, b = r.get("spdxElementId"), r.get("relationshipType"), r.get("relatedSpdxElement")
    expect(a in elements and b in elements, "relationship %r leads nowhere" % r)
    expect(kind in KINDS, "relationship %r (11.1)" % kind)
    if kind == "CONTAINS":
        contains.setdefault(a, []).append(b)
    if kind == "DESCRIBES":
        described.append(b)
expect(described, "the document describes nothing (11.1)")

# Section 8: files.
for f in doc.get("files", []):
    i = f["SPDXID"]
    strings(i, f, ["fileName"])
    expect(f["fileName"].startswith("./"), "%s: fileName %r (8.1)" % (i, f["fileName"]))
    check_checksums(i, f, ["SHA1"])
    check_licence(i, f.get("licenseConcluded", "NOASSERTION"))
    expect(any(i in c for c in contains.values()), "%s: no package contains it" % i)

# Section 7: packages.
for p in doc.get("packages", []):
    i = p["SPDXID"]
    strings(i, p, ["name", "downloadLocation"])
    check_checksums(i, p, [])
    for n in ("licenseConcluded", "licenseDeclared"):
        check_licence(i, p.get(n, "NOASSERTION"))
    expect(p.get("primaryPackagePurpose", "OTHER") in PURPOSES, "%s: purpose (7.24)" % i)
    for ref in p.get("externalRefs", []):
        expect(ref.get("referenceCategory") == "PACKAGE-MANAGER" and ref.get("referenceType") == "purl", "%s: externalRefs (7.21)" % i)
        expect(re.fullmatch(r"pkg:[a-z]+/[a-z]+/[A-Za-z0-9.+%-]+@[A-Za-z0-9.+%~-]+(\?[a-z]+=[a-z0-9]+)?", ref["referenceLocator"]),
               "%s: purl %r" % (i, ref["referenceLocator"]))
    code = p.get("packageVerificationCode")
    if p.get("filesAnalyzed", True):
        sums = sorted(c["checksumValue"] for f in contains.get(i, []) if "fileName" in elements[f]
                      for c in elements[f]["checksums"] if c["algorithm"] == "SHA1")
        want = hashlib.sha1("".join(sums).encode()).hexdigest()
        expect(code and code.get("packageVerificationCodeValue") == want, "%s: verification code (7.9)" % i)
    else:
        expect(code is None, "%s: a verification code without files (7.9)" % i)
        expect(not any("fileName" in elements[f] for f in contains.get(i, [])), "%s: files (7.8)" % i)

for p in problems:
    print(p)
sys.exit(1 if problems else 0)
