"""Vectors of §2 (derivations), §3 (envelope, sealed DEK), §4.3 (sizes) and §5 (token)."""

import hmac
import unicodedata
from typing import Any, Dict, List

import nebulaio_format as nf
from vector_ops import Case, apply_op, failure, flip, made

DEK = made("dek", 32)
IK = made("ik", 32)
T = nf.THRESHOLD


def derivations() -> Case:
    other = made("dek 2", 32)
    parts = [(1, 1), (1, 65536), (2, 65536), (2, 65537), (10_000, T), (1, 5_366_088_832)]
    payload = nf.marshal_record(nf.EndRecord(3, 1000))
    infos = [b"", b"\x00", b"nebulaio/v1/part\x00", bytes(range(200))]
    return {
        "expand": [
            {"key": key.hex(), "info": info.hex(), "size": n, "out": nf.expand(key, info, n).hex()}
            for key in (DEK, bytes(32))
            for info in infos
            for n in (12, 32, 64)
        ],
        "part_keys": [
            {"dek": dek.hex(), "n": n, "x": x, "key": nf.part_key(dek, n, x).hex()}
            for dek in (DEK, other)
            for n, x in parts
        ],
        "end_keys": [
            {
                "dek": dek.hex(),
                "end_key": nf.end_key(dek).hex(),
                "token_key": nf.token_key(dek).hex(),
                "payload": payload.hex(),
                "end_nonce": nf.end_nonce(dek, payload).hex(),
            }
            for dek in (DEK, other)
        ],
        "aead_nonces": [
            {"header_nonce": n.hex(), "package": i, "nonce": nf.aead_nonce(n, i).hex()}
            for n in (bytes(12), b"\xff" * 12, bytes(range(0x80, 0x8C)))
            for i in (0, 1, 255, 256, 81_899, 2**32 - 1)
        ],
    }


def sizes() -> Case:
    plain = [0, 1, 15, 16, 17, 65535, 65536, 65537, 131072, 131073, 200_000, T - 1, T, T + 1]
    plain += [5_240_223, 5_240_224, 5_240_319, 5_240_320, 5_240_415, 5_240_416, 5_366_088_832]
    borders = [0, 65_568, 2 * 65_568, T, 5_497_558_138_880]
    stored = sorted({max(0, b + d) for b in borders for d in (-1, 0, 1, 32, 33, 34, 95, 96, 97)})
    stored = sorted(set(stored) | {b + d for b in borders for d in (128, 129, 130)})
    return {
        "forward": [{"plaintext": x, "part": nf.s(x), "object": nf.f(x)} for x in plain],
        "inverse": [
            {"stored": n, "part": nf.s_inverse(n), "object": nf.f_inverse(n)} for n in stored
        ],
    }


FIELDS: Dict[str, Any] = {
    "layout": "single",
    "kek": "local:nebulaio-master",
    "kek_version": "1",
    "ik": made("wrapped ik", 73),
    "dek": made("sealed dek", 104),
}


def envelope(**changes: Any) -> nf.Envelope:
    return nf.Envelope(**{**FIELDS, **changes})


def longest_envelope() -> nf.Envelope:
    e = envelope(ik=made("long ik", 1024), kek_version="v" * 128)
    room = nf.MAX_ENVELOPE - len(nf.marshal_envelope(e)) + len(e.kek)
    return e._replace(kek="p:" + "k" * (room - 2))


def valid_envelopes() -> Dict[str, nf.Envelope]:
    arn = "aws:arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    punctuation = "p:!\"#$%&'()*+,-./09:<=>?@AZ[\\]^_`az{|}~"
    return {
        "usual": envelope(),
        "layout empty": envelope(layout="empty"),
        "layout multipart": envelope(layout="multipart"),
        "key reference with colons and slashes": envelope(kek=arn),
        "key reference with all punctuation but the semicolon": envelope(kek=punctuation),
        "shortest key reference": envelope(kek="a:b"),
        "longest key reference": envelope(kek="p:" + "k" * 510),
        "shortest wrapped key": envelope(ik=b"\x00"),
        "wrapped key of 2 bytes": envelope(ik=b"\xff\xff"),
        "longest version of a key": envelope(kek_version="aZ09._-".ljust(128, "x")),
        "as long as allowed": longest_envelope(),
    }


def refused_envelopes() -> Dict[str, str]:
    good = nf.marshal_envelope(envelope())
    fields = good.split(";")
    ik, dek = fields[4], fields[5]
    names = [field.partition("=")[0] for field in fields]
    cases = {
        "empty": "",
        "version 0": good.replace("v=1", "v=0"),
        "version 2": good.replace("v=1", "v=2"),
        "version 01": good.replace("v=1", "v=01"),
        "version empty": good.replace("v=1", "v="),
        "layout unknown": good.replace("layout=single", "layout=double"),
        "layout in capitals": good.replace("layout=single", "layout=Single"),
        "layout empty text": good.replace("layout=single", "layout="),
        "key reference without colon": good.replace("local:nebulaio-master", "local"),
        "key reference without provider": good.replace("local:nebulaio-master", ":nebulaio"),
        "key reference without name": good.replace("local:nebulaio-master", "local:"),
        "key reference of 2 characters": good.replace("local:nebulaio-master", "a:"),
        "key reference of 513 characters": good.replace("local:nebulaio-master", "p:" + "k" * 511),
        "key reference with a space": good.replace("nebulaio-master", "nebulaio master"),
        "key reference with a semicolon": good.replace("nebulaio-master", "nebulaio;master"),
        "key reference with a tab": good.replace("nebulaio-master", "nebulaio\tmaster"),
        "key reference with DEL": good.replace("nebulaio-master", "nebulaio\x7fmaster"),
        "key reference outside ASCII": good.replace("nebulaio-master", "nebulaio-m\u00e4ster"),
        "key version empty": good.replace("kek-version=1", "kek-version="),
        "key version of 129 characters": good.replace("kek-version=1", "kek-version=" + "1" * 129),
        "key version with a slash": good.replace("kek-version=1", "kek-version=1/2"),
        "key version with a digit outside ASCII": good.replace("version=1", "version=\u0661"),
        "wrapped key empty": good.replace(ik, "ik="),
        "wrapped key of 1,025 bytes": good.replace(ik, "ik=" + nf.base64url(bytes(1025))),
        "wrapped key with padding": good.replace(ik, "ik=AAA="),
        "wrapped key in standard base64": good.replace(ik, "ik=AA+/"),
        "wrapped key with an impossible length": good.replace(ik, "ik=AAAAA"),
        "wrapped key with stray bits, 1 byte": good.replace(ik, "ik=AB"),
        "wrapped key with stray bits, 2 bytes": good.replace(ik, "ik=AAB"),
        "wrapped key with a line feed": good.replace(ik, "ik=AAAA\nAAAA"),
        "sealed key of 103 bytes": good.replace(dek, "dek=" + nf.base64url(bytes(103))),
        "sealed key of 105 bytes": good.replace(dek, "dek=" + nf.base64url(bytes(105))),
        "sealed key empty": good.replace(dek, "dek="),
        "sealed key with stray bits": good[:-1]
        + ("B" if good[-1] == "A" else chr(ord(good[-1]) + 1)),
        "sealed key with padding": good + "=",
        "space before": " " + good,
        "space behind": good + " ",
        "line feed behind": good + "\n",
        "zero byte behind": good + "\x00",
        "semicolon behind": good + ";",
        "semicolon before": ";" + good,
        "space after a semicolon": good.replace(";layout", "; layout"),
        "colon for equals sign": good.replace("v=1", "v:1"),
        "quoted": f'"{good}"',
        "an additional field": good + ";mac=AAAA",
        "an additional field before": "mac=AAAA;" + good,
        "two envelopes joined as HTTP joins repeated headers": f"{good}, {good}",
        "one character too long": "",
    }
    longest = longest_envelope()
    cases["one character too long"] = nf.marshal_envelope(longest._replace(kek=longest.kek + "k"))
    for i, name in enumerate(names):
        cases[f"without {name}"] = ";".join(fields[:i] + fields[i + 1 :])
        cases[f"{name} twice"] = ";".join(fields[: i + 1] + fields[i:])
        cases[f"{name} in capitals"] = good.replace(f"{name}=", f"{name.upper()}=", 1)
        if i > 0:
            reordered = fields[: i - 1] + [fields[i], fields[i - 1]] + fields[i + 1 :]
            cases[f"{name} before its predecessor"] = ";".join(reordered)
    return cases


def envelopes() -> Case:
    good = nf.marshal_envelope(envelope())
    valid = []
    for name, e in valid_envelopes().items():
        text = nf.marshal_envelope(e)
        if nf.parse_envelope(text) != e:
            raise AssertionError(name)
        fields = {**e._asdict(), "ik": e.ik.hex(), "dek": e.dek.hex()}
        valid.append({"name": name, "text": text, "fields": fields})
    metadata = {
        "a further reserved name": [[nf.ENVELOPE_NAME, good], [nf.METADATA_PREFIX + "mac", "x"]],
        "a reserved name without envelope": [[nf.METADATA_PREFIX + "v", "1"]],
        "the prefix alone": [[nf.ENVELOPE_NAME, good], [nf.METADATA_PREFIX, "x"]],
        "a reserved name in capitals": [
            [nf.ENVELOPE_NAME, good],
            ["X-Amz-Meta-NebulaIO-Envelope2", good],
        ],
        "an empty envelope": [[nf.ENVELOPE_NAME, ""]],
    }
    return {
        "valid": valid,
        "refused": [
            {"name": name, "text": text, "expect": failure(lambda: nf.parse_envelope(text))}
            for name, text in refused_envelopes().items()
        ],
        "refused_metadata": [
            {
                "name": name,
                "headers": headers,
                "expect": failure(lambda: nf.find_envelope((k, v) for k, v in headers)),
            }
            for name, headers in metadata.items()
        ],
    }


CONTEXTS = {
    "usual": ("photos", "2026/cat.jpg", "single"),
    "layout empty": ("photos", "folder/", "empty"),
    "layout multipart": ("photos", "2026/cat.jpg", "multipart"),
    "key of one character": ("abc", "k", "single"),
    "key .": ("abc", ".", "single"),
    "key ..": ("abc", "..", "single"),
    "key with dot segments": ("abc", "a/../b/./c", "single"),
    "key with empty segments": ("abc", "//a///b//", "single"),
    "key /": ("abc", "/", "single"),
    "key of spaces": ("abc", "  ", "single"),
    "key with a zero byte": ("abc", "a\x00b", "single"),
    "key with reserved characters": ("abc", "a+b%20c?d#e&f=g;h", "single"),
    "key composed (NFC)": ("abc", "caf\u00e9", "single"),
    "key decomposed (NFD)": ("abc", "cafe\u0301", "single"),
    "key outside the BMP": ("abc", "\U0001f512/\u6f22\u5b57", "single"),
    "key of 1,024 bytes": ("abc", "k" * 1024, "single"),
    "bucket and key meet, 1": ("abcd", "ef", "single"),
    "bucket and key meet, 2": ("abc", "def", "single"),
}


def sealed_deks() -> Case:
    valid: List[Case] = []
    for name, where in CONTEXTS.items():
        salt, bound = made(f"salt {name}", 24), nf.context(*where)
        seal_key, commitment = nf.seal_keys(IK, salt, bound)
        sealed = nf.seal_dek(IK, salt, bound, DEK)
        if nf.open_dek(IK, sealed, bound) != DEK:
            raise AssertionError(name)
        bucket, key, layout = where
        valid.append(
            {
                **{"name": name, "ik": IK.hex(), "bucket": bucket, "key": key, "layout": layout},
                **{"context": bound.hex(), "salt": salt.hex(), "seal_key": seal_key.hex()},
                **{"commitment": commitment.hex(), "dek": DEK.hex(), "sealed": sealed.hex()},
            }
        )
    return {"valid": valid, "refused": refused_deks(valid)}


def refused_deks(valid: List[Case]) -> List[Case]:
    by_name = {case["name"]: case for case in valid}
    cases: List[Case] = []

    def add(name: str, of: str, **changes: str) -> None:
        c = {**by_name[of], **changes}
        bound = nf.context(c["bucket"], c["key"], c["layout"])
        ik, sealed = bytes.fromhex(c["ik"]), bytes.fromhex(c["sealed"])
        expect = failure(lambda: nf.open_dek(ik, sealed, bound))
        cases.append({"name": name, "of": of, **changes, "expect": expect})

    add("another bucket", "usual", bucket="photo")
    add("another key", "usual", key="2026/cat.jpeg")
    add("key in capitals", "usual", key="2026/CAT.jpg")
    add("key with a slash before", "usual", key="/2026/cat.jpg")
    add("key with another slash", "usual", key="2026//cat.jpg")
    add("empty key", "usual", key="")
    add("bucket and key swapped", "usual", bucket="2026/cat.jpg", key="photos")
    for layout in ("empty", "multipart", ""):
        add(f"layout {layout or 'empty text'}", "usual", layout=layout)
    add("another intermediate key", "usual", ik=made("ik 2", 32).hex())
    nfc, nfd = (by_name[f"key {n}"]["key"] for n in ("composed (NFC)", "decomposed (NFD)"))
    assert unicodedata.normalize("NFC", nfd) == nfc
    add("key normalised to NFD", "key composed (NFC)", key=nfd)
    add("key normalised to NFC", "key decomposed (NFD)", key=nfc)
    add("dot segments resolved", "key with dot segments", key="b/c")
    add("empty segments merged", "key with empty segments", key="/a/b/")
    add("key percent-decoded", "key with reserved characters", key="a+b c?d#e&f=g;h")
    add("a border moved between bucket and key", "bucket and key meet, 1", bucket="abc", key="def")
    sealed = bytes.fromhex(by_name["usual"]["sealed"])
    for offset in range(104):
        field = "salt" if offset < 24 else "commitment" if offset < 56 else "ciphertext"
        mutated = apply_op(sealed, flip(offset), lambda _: b"").hex()
        add(f"byte {offset} flipped ({field if offset < 88 else 'tag'})", "usual", sealed=mutated)
    add("a byte less", "usual", sealed=sealed[:-1].hex())
    add("a byte more", "usual", sealed=(sealed + b"\x00").hex())
    add("no bytes", "usual", sealed="")
    add("sealed for another object", "usual", sealed=by_name["key .."]["sealed"])
    own = nf.seal_keys(IK, sealed[:24], nf.context(*CONTEXTS["usual"]))[1]
    foreign = bytes.fromhex(by_name["key .."]["sealed"])
    add(
        "right commitment, ciphertext of another",
        "usual",
        sealed=(sealed[:24] + own + foreign[56:]).hex(),
    )
    return cases


def upload_tokens() -> Case:
    bucket, key = "photos", "2026/big.bin"
    salt = made("salt token", 24)

    def sealed(layout: str) -> str:
        dek = nf.seal_dek(IK, salt, nf.context(bucket, key, layout), DEK)
        return nf.marshal_envelope(envelope(layout=layout, dek=dek))

    def signed(*fields: bytes, head: bytes = b"\x01", tail: bytes = b"") -> str:
        data = head + b"".join(nf.lp(field) for field in fields) + tail
        return nf.base64url(data + hmac.new(nf.token_key(DEK), data, "sha256").digest())

    text = sealed("multipart")
    ids = {"usual": "2~abcdefghijklmnop", "long": "u" * 1000, "outside ASCII": "\u00fc/+=;%"}
    valid = [
        {"name": name, "dek": DEK.hex(), "upload_id": upload, "envelope": text}
        for name, upload in ids.items()
    ]
    for case in valid:
        case["token"] = nf.marshal_token(DEK, case["upload_id"], text)
        nf.verify_token(DEK, nf.parse_token(case["token"]))
    token, data = valid[0]["token"], nf.parse_base64url(valid[0]["token"], "token")
    upload, body = ids["usual"].encode(), text.encode()
    unsigned = b"\x01" + nf.lp(upload) + nf.lp(body)
    tokens = {
        "empty": "",
        "the backend's upload id alone": ids["usual"],
        "with padding": token + "=" * (-len(token) % 4 or 4),
        "standard base64": token.replace("-", "+").replace("_", "/") + "+",
        "a character more": token + "A",
        "a character less": token[:-1],
        "space before": " " + token,
        "without MAC": nf.base64url(unsigned),
        "version 0": signed(upload, body, head=b"\x00"),
        "version 2": signed(upload, body, head=b"\x02"),
        "a byte before the MAC": signed(upload, body, tail=b"\x00"),
        "a third field": signed(upload, body, b""),
        "one field": signed(upload),
        "no field": signed(),
        "length beyond the end": signed(upload, head=b"\x01", tail=b"\xff\xff\xff\xff" + body),
        "MAC alone": signed(head=b""),
        "envelope of layout single": signed(upload, sealed("single").encode()),
        "envelope of layout empty": signed(upload, sealed("empty").encode()),
        "envelope malformed": signed(upload, body + b";"),
        "envelope not UTF-8": signed(upload, body + b"\xff"),
        "upload id not UTF-8": signed(b"\xff", body),
        "upload id changed": nf.base64url(data.replace(b"2~abc", b"2~abd")),
        "a border moved": nf.base64url(
            b"\x01" + nf.lp(upload + b"\x00") + nf.lp(body) + data[-32:]
        ),
        "MAC under another DEK": nf.marshal_token(made("dek 2", 32), ids["usual"], text),
        "MAC of zeros": nf.base64url(unsigned + bytes(32)),
    }
    for offset in (0, 1, 4, 5, 22, 26, 27, len(data) - 33, *range(len(data) - 32, len(data))):
        mutated = apply_op(data, flip(offset), lambda _: b"")
        tokens[f"byte {offset} flipped"] = nf.base64url(mutated)
    where = {"bucket": bucket, "key": key, "ik": IK.hex()}
    return {
        **where,
        "valid": valid,
        "refused": [
            {"name": name, "token": t, "expect": failure(lambda: open_token(t, bucket, key))}
            for name, t in tokens.items()
        ],
        "refused_places": [
            {
                "name": name,
                "of": "usual",
                **place,
                "expect": failure(lambda: open_token(token, **place)),
            }
            for name, place in {
                "another bucket": {"bucket": "photo", "key": key},
                "another key": {"bucket": bucket, "key": key + "2"},
            }.items()
        ],
    }


def open_token(token: str, bucket: str, key: str) -> str:
    """As a server does it: the DEK comes from the token's own envelope."""
    parsed = nf.parse_token(token)
    dek = nf.open_envelope(parsed.envelope, bucket, key, lambda *_: IK)
    nf.verify_token(dek, parsed)
    return parsed.upload_id
