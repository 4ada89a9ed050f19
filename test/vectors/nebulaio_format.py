"""The at-rest format, version 1, written from docs/format.md alone (§ numbers are that page's).

Nothing here knows the proxy's code: that is its purpose. All failures of what was read are
`FormatError` with a `kind`; README.md lists the kinds.
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, Protocol, Tuple

import aes_gcm

PACKAGE = 65536
OVERHEAD = 32
STORED_PACKAGE = PACKAGE + OVERHEAD
RECORD = 96
THRESHOLD = 5 * 1024 * 1024
MAX_PARTS = 10_000
MAX_ENVELOPE = 2048
METADATA_PREFIX = "x-amz-meta-nebulaio-"
ENVELOPE_NAME = METADATA_PREFIX + "envelope"
LAYOUTS = ("empty", "single", "multipart")
CHECKSUM_SIZES = {0: 0, 1: 4, 2: 4, 3: 8, 4: 20, 5: 32}
FINAL = 0x80


class FormatError(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class Source(Protocol):
    """Stored bytes. `size` is what the backend announces; `read_at` may return fewer bytes."""

    size: int

    def read_at(self, offset: int, size: int) -> bytes: ...


class BytesSource:
    def __init__(self, data: bytes, announced: Optional[int] = None) -> None:
        self.data = data
        self.size = len(data) if announced is None else announced

    def read_at(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]


def u32be(n: int) -> bytes:
    return n.to_bytes(4, "big")


def u64be(n: int) -> bytes:
    return n.to_bytes(8, "big")


def lp(data: bytes) -> bytes:
    return u32be(len(data)) + data


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def parse_base64url(text: str, kind: str) -> bytes:
    """Accepts the canonical form without padding only."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise FormatError(kind, "not base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise FormatError(kind, "not base64url") from None
    if base64url(data) != text:
        raise FormatError(kind, "base64url isn't canonical")
    return data


# §2 Key derivation


def expand(key: bytes, info: bytes, n: int) -> bytes:
    if n > 64:
        raise ValueError("expected at most 64 bytes")
    return hmac.new(key, info + b"\x01", hashlib.sha512).digest()[:n]


def label(name: str) -> bytes:
    return b"nebulaio/v1/" + name.encode("ascii") + b"\x00"


def part_key(dek: bytes, n: int, x: int) -> bytes:
    return expand(dek, label("part") + u32be(n) + u64be(x), 32)


def end_key(dek: bytes) -> bytes:
    return expand(dek, label("end"), 32)


def end_nonce(dek: bytes, payload: bytes) -> bytes:
    return expand(dek, label("end-nonce") + payload, 12)


def token_key(dek: bytes) -> bytes:
    return expand(dek, label("upload-token"), 32)


# §3 The envelope


class Envelope(NamedTuple):
    layout: str
    kek: str
    kek_version: str
    ik: bytes
    dek: bytes


ENVELOPE = re.compile(
    r"v=1;layout=(empty|single|multipart);kek=([\x21-\x3a\x3c-\x7e]{3,512});"
    r"kek-version=([A-Za-z0-9._-]{1,128});ik=([A-Za-z0-9_-]+);dek=([A-Za-z0-9_-]+)"
)


def parse_envelope(text: str) -> Envelope:
    if len(text) > MAX_ENVELOPE:
        raise FormatError("envelope", "too long")
    match = ENVELOPE.fullmatch(text)
    if match is None:
        raise FormatError("envelope", "not of the form of version 1")
    layout, kek, kek_version, ik_text, dek_text = match.groups()
    provider, _, name = kek.partition(":")
    if not (provider and name):
        raise FormatError("envelope", "the key reference isn't PROVIDER:NAME")
    ik = parse_base64url(ik_text, "envelope")
    dek = parse_base64url(dek_text, "envelope")
    if not 1 <= len(ik) <= 1024 or len(dek) != 104:
        raise FormatError("envelope", "a key of the wrong size")
    return Envelope(layout, kek, kek_version, ik, dek)


def marshal_envelope(e: Envelope) -> str:
    keys = f"ik={base64url(e.ik)};dek={base64url(e.dek)}"
    return f"v=1;layout={e.layout};kek={e.kek};kek-version={e.kek_version};{keys}"


def find_envelope(headers: Iterable[Tuple[str, str]]) -> Optional[Envelope]:
    """The envelope among an object's headers; None if the object isn't of this format."""
    reserved = [(k.lower(), v) for k, v in headers if k.lower().startswith(METADATA_PREFIX)]
    if not reserved:
        return None
    if [name for name, _ in reserved] != [ENVELOPE_NAME]:
        raise FormatError("envelope", "unexpected metadata of the reserved names")
    return parse_envelope(reserved[0][1])


def context(bucket: str, key: str, layout: str) -> bytes:
    return b"\x01" + b"".join(lp(text.encode("utf-8")) for text in (bucket, key, layout))


def seal_keys(ik: bytes, salt: bytes, bound: bytes) -> Tuple[bytes, bytes]:
    out = expand(ik, label("seal") + salt + bound, 64)
    return out[:32], out[32:]


def seal_dek(ik: bytes, salt: bytes, bound: bytes, dek: bytes) -> bytes:
    key, commitment = seal_keys(ik, salt, bound)
    return salt + commitment + aes_gcm.seal(key, bytes(12), dek)


def open_dek(ik: bytes, sealed: bytes, bound: bytes) -> bytes:
    if len(sealed) != 104:
        raise FormatError("dek", "a sealed DEK has 104 bytes")
    key, commitment = seal_keys(ik, sealed[:24], bound)
    if not hmac.compare_digest(commitment, sealed[24:56]):
        raise FormatError("dek", "the commitment is that of another key or context")
    try:
        return aes_gcm.open_sealed(key, bytes(12), sealed[56:])
    except aes_gcm.TagError:
        raise FormatError("dek", "the tag doesn't verify") from None


Unwrap = Callable[[str, str, bytes, str], bytes]


def open_envelope(e: Envelope, bucket: str, key: str, unwrap: Unwrap) -> bytes:
    """The DEK. `unwrap(kek, kek_version, wrapped_ik, bucket)` asks the KMS."""
    ik = unwrap(e.kek, e.kek_version, e.ik, bucket)
    return open_dek(ik, e.dek, context(bucket, key, e.layout))


# §4.3 Sizes


def s(x: int) -> int:
    return x + OVERHEAD * -(-x // PACKAGE)


def s_inverse(stored: int) -> Optional[int]:
    if stored <= 0:
        return None
    k = -(-stored // STORED_PACKAGE)
    x = stored - OVERHEAD * k
    return x if x > PACKAGE * (k - 1) else None


def f(plaintext: int) -> int:
    return s(plaintext) + RECORD if plaintext > 0 else 0


def f_inverse(stored: int) -> Optional[int]:
    return 0 if stored in (0, RECORD) else s_inverse(stored - RECORD)


# §4.1 Part streams


def aead_nonce(header_nonce: bytes, i: int) -> bytes:
    last = int.from_bytes(header_nonce[8:], "little") ^ i
    return header_nonce[:8] + last.to_bytes(4, "little")


def header_of(size: int, nonce: bytes) -> bytes:
    return b"\x20\x00" + (size - 1).to_bytes(2, "little") + nonce


def final_nonce(nonce: bytes) -> bytes:
    return bytes([nonce[0] | FINAL]) + nonce[1:]


def plain_nonce(nonce: bytes) -> bytes:
    return bytes([nonce[0] & ~FINAL]) + nonce[1:]


def seal_with_header(key: bytes, header: bytes, i: int, plaintext: bytes) -> bytes:
    return header + aes_gcm.seal(key, aead_nonce(header[4:], i), plaintext, header[:4])


def encrypt_part(dek: bytes, n: int, nonce: bytes, plaintext: bytes) -> bytes:
    """A part stream. `nonce` is 12 bytes, its top bit 0, fresh for each attempt."""
    if len(nonce) != 12 or nonce[0] & FINAL:
        raise ValueError("expected 12 bytes with the top bit 0")
    key = part_key(dek, n, len(plaintext))
    out = []
    for i, start in enumerate(range(0, len(plaintext), PACKAGE)):
        piece = plaintext[start : start + PACKAGE]
        own = final_nonce(nonce) if start + PACKAGE >= len(plaintext) else nonce
        out.append(seal_with_header(key, header_of(len(piece), own), i, piece))
    return b"".join(out)


class PartReader:
    """Opens packages of part `n` with `x` plaintext bytes, stored from `offset` on."""

    def __init__(self, dek: bytes, n: int, x: int, source: Source, offset: int) -> None:
        self.key = part_key(dek, n, x)
        self.x = x
        self.source = source
        self.offset = offset
        self.packages = -(-x // PACKAGE)
        self.nonce: Optional[bytes] = None

    def package(self, i: int) -> bytes:
        size = min(PACKAGE, self.x - PACKAGE * i)
        stored = self.source.read_at(self.offset + STORED_PACKAGE * i, size + OVERHEAD)
        header = stored[:16]
        if len(header) < 16:
            raise FormatError("truncation", "the body ends inside or before a header")
        self.check_header(header, i, size)
        if len(stored) < size + OVERHEAD:
            raise FormatError("truncation", "the body ends inside a package")
        try:
            nonce = aead_nonce(header[4:], i)
            return aes_gcm.open_sealed(self.key, nonce, stored[16:], header[:4])
        except aes_gcm.TagError:
            raise FormatError("tag", f"package {i} doesn't verify") from None

    def check_header(self, header: bytes, i: int, size: int) -> None:
        if header[:4] != header_of(size, b"")[:4]:
            raise FormatError("header", f"version, cipher or length of package {i}")
        if self.nonce is None:
            self.nonce = plain_nonce(header[4:])
        if plain_nonce(header[4:]) != self.nonce:
            raise FormatError("header", f"the nonce of package {i}")
        if bool(header[4] & FINAL) != (i == self.packages - 1):
            raise FormatError("header", f"the final flag of package {i}")

    def read(self) -> Iterator[bytes]:
        for i in range(self.packages):
            yield self.package(i)


def read_part(dek: bytes, n: int, x: int, source: Source) -> Iterator[bytes]:
    """All packages of a part that stands alone; nothing may follow it."""
    yield from PartReader(dek, n, x, source, 0).read()
    if source.read_at(s(x), 1):
        raise FormatError("trailing", "bytes after the final package")


# §4.2 The end record


class EndRecord(NamedTuple):
    n: int
    l: int
    zone: bool = False
    algorithm: int = 0
    checksum: bytes = b""


def marshal_record(r: EndRecord) -> bytes:
    head = bytes([1, int(r.zone), r.algorithm, 0]) + u32be(r.n) + u64be(r.l)
    return head + r.checksum.ljust(32, b"\x00") + bytes(16)


def parse_record(payload: bytes) -> EndRecord:
    version, flags, algorithm, checksum_type = payload[:4]
    n, l = int.from_bytes(payload[4:8], "big"), int.from_bytes(payload[8:16], "big")
    if version != 1 or flags > 1 or algorithm not in CHECKSUM_SIZES or checksum_type != 0:
        raise FormatError("end-record", "unknown version, flag, algorithm or type")
    size = CHECKSUM_SIZES[algorithm]
    if any(payload[16 + size :]):
        raise FormatError("end-record", "the padding isn't zero")
    if not 1 <= n <= MAX_PARTS:
        raise FormatError("end-record", "the number of parts is out of range")
    return EndRecord(n, l, flags == 1, algorithm, payload[16 : 16 + size])


def seal_payload(dek: bytes, payload: bytes) -> bytes:
    header = header_of(len(payload), final_nonce(end_nonce(dek, payload)))
    return seal_with_header(end_key(dek), header, 0, payload)


def seal_record(dek: bytes, record: EndRecord) -> bytes:
    return seal_payload(dek, marshal_record(record))


def open_record(dek: bytes, stored: bytes) -> EndRecord:
    if len(stored) != RECORD:
        raise FormatError("end-record", "an end record has 96 bytes")
    if stored[:4] != header_of(64, b"")[:4] or not stored[4] & FINAL:
        raise FormatError("end-record", "not the header of an end record")
    try:
        payload = aes_gcm.open_sealed(end_key(dek), stored[4:16], stored[16:], stored[:4])
    except aes_gcm.TagError:
        raise FormatError("end-record", "the tag doesn't verify") from None
    return parse_record(payload)


# §4.3–4.5 The body


class Ending(NamedTuple):
    """What the end of a multipart body says: N, L in plaintext bytes, how many records."""

    n: int
    l: int
    records: int


def own_record(dek: bytes, source: Source) -> Optional[EndRecord]:
    """The record before the last one, if there's one."""
    if source.size < 2 * RECORD:
        return None
    try:
        return open_record(dek, source.read_at(source.size - 2 * RECORD, RECORD))
    except FormatError:
        return None


def read_ending(dek: bytes, source: Source) -> Ending:
    if source.size < RECORD:
        raise FormatError("layout", "no room for an end record")
    last = open_record(dek, source.read_at(source.size - RECORD, RECORD))
    if not last.zone:
        return Ending(last.n, last.l, 1)
    if not THRESHOLD <= last.l <= THRESHOLD + RECORD - 1:
        raise FormatError("end-record", "a zone record for a size outside the zone")
    own = own_record(dek, source)
    if own and own.n == last.n and not own.zone and s(own.l) + RECORD == last.l:
        return Ending(last.n, own.l, 2)
    x = s_inverse(last.l)
    if x is None:
        raise FormatError("layout", "no part has this stored size")
    return Ending(last.n, x, 1)


def opens(reader: PartReader, i: int) -> bool:
    try:
        reader.package(i)
        return True
    except FormatError:
        return False


def uniform_sizes(dek: bytes, source: Source, parts: int, rest: int) -> Optional[List[int]]:
    """Equal sizes for `parts` parts stored in `rest` bytes, if part 1 proves its own."""
    u = s_inverse(rest // parts) if rest % parts == 0 else None
    if u is None or not opens(PartReader(dek, 1, u, source, 0), 0):
        return None
    return [u] * parts


def all_confirmed(dek: bytes, source: Source, sizes: List[int]) -> bool:
    """Whether the final package of each part opens with its guessed number and size."""
    offset = 0
    for n, x in enumerate(sizes, 1):
        reader = PartReader(dek, n, x, source, offset)
        if not opens(reader, reader.packages - 1):
            return False
        offset += s(x)
    return True


def search_part(source: Source, start: int, end: int) -> Optional[int]:
    """The plaintext size of the part that begins at `start`, by bisection over its packages."""

    def nonce_at(k: int) -> bytes:
        header = source.read_at(start + STORED_PACKAGE * k, 16)
        return plain_nonce(header[4:]) if len(header) == 16 else b""

    nonce = nonce_at(0)
    inside, outside = 0, (end - start - 1) // STORED_PACKAGE + 1
    while outside - inside > 1:
        middle = (inside + outside) // 2
        if nonce_at(middle) == nonce:
            inside = middle
        else:
            outside = middle
    header = source.read_at(start + STORED_PACKAGE * inside, 16)
    if len(header) < 16 or not header[4] & FINAL:
        return None
    x = PACKAGE * inside + int.from_bytes(header[2:4], "little") + 1
    return x if start + s(x) <= end else None


def search_sizes(dek: bytes, source: Source, parts: int, rest: int) -> Optional[List[int]]:
    sizes: List[int] = []
    offset = 0
    while offset < rest and len(sizes) < parts:
        x = search_part(source, offset, rest)
        if x is None:
            return None
        sizes.append(x)
        offset += s(x)
    whole = offset == rest and len(sizes) == parts
    return sizes if whole and all_confirmed(dek, source, sizes) else None


def find_sizes(dek: bytes, source: Source, ending: Ending) -> List[int]:
    """The plaintext sizes of all parts of a multipart body, proven by at least one package each
    (a uniform guess that only part 1 proves is the last resort; a full read proves it or fails)."""
    rest = source.size - RECORD * ending.records - s(ending.l)
    if rest < 0 or (rest == 0) != (ending.n == 1):
        raise FormatError("layout", "the stored size doesn't fit the end record")
    if ending.n == 1:
        return [ending.l]
    uniform = uniform_sizes(dek, source, ending.n - 1, rest)
    if uniform and all_confirmed(dek, source, uniform):
        return uniform + [ending.l]
    found = search_sizes(dek, source, ending.n - 1, rest) or uniform
    if found is None:
        raise FormatError("layout", "no sizes of the parts can be proven")
    return found + [ending.l]


def check_given_sizes(sizes: List[int], source: Source, ending: Ending) -> None:
    stored = sum(s(x) for x in sizes) + RECORD * ending.records
    if len(sizes) != ending.n or sizes[-1] != ending.l or stored != source.size:
        raise FormatError("layout", "the given sizes don't fit the body")
    if any(x <= 0 for x in sizes[:-1]):
        raise FormatError("layout", "a part before the last is empty")


def read_single(dek: bytes, source: Source) -> Iterator[bytes]:
    size = f_inverse(source.size)
    if not size:
        raise FormatError("layout", "no object has this stored size")
    yield from PartReader(dek, 1, size, source, 0).read()
    stored = source.read_at(s(size), RECORD)
    if len(stored) < RECORD:
        raise FormatError("truncation", "the body ends inside or before its end record")
    record = open_record(dek, stored)
    if record.zone or (record.n, record.l) != (1, size):
        raise FormatError("layout", "the end record states other sizes")


def read_multipart(dek: bytes, source: Source, sizes: Optional[List[int]]) -> Iterator[bytes]:
    ending = read_ending(dek, source)
    if sizes is None:
        sizes = find_sizes(dek, source, ending)
    else:
        check_given_sizes(sizes, source, ending)
    offset = 0
    for n, x in enumerate(sizes, 1):
        yield from PartReader(dek, n, x, source, offset).read()
        offset += s(x)


def read_object(
    dek: bytes, layout: str, source: Source, sizes: Optional[List[int]] = None
) -> Iterator[bytes]:
    """The plaintext, package by package, each verified. Only when the iterator ends without an
    error is the object whole. `sizes` (of all parts) may be given for a multipart object."""
    if layout == "single":
        yield from read_single(dek, source)
    elif layout == "multipart":
        yield from read_multipart(dek, source, sizes)
    elif source.size > 0 or source.read_at(0, 1):
        raise FormatError("layout", "an empty object with stored bytes")


# §5 The upload token


class UploadToken(NamedTuple):
    upload_id: str
    envelope: Envelope
    signed: bytes
    mac: bytes


def marshal_token(dek: bytes, upload_id: str, envelope: str) -> str:
    signed = b"\x01" + lp(upload_id.encode("utf-8")) + lp(envelope.encode("utf-8"))
    return base64url(signed + hmac.new(token_key(dek), signed, hashlib.sha256).digest())


def parse_token(token: str) -> UploadToken:
    """The token's content, not yet verified: that takes the DEK of its envelope."""
    data = parse_base64url(token, "token")
    signed, mac = data[:-32], data[-32:]
    fields, at = [], 1
    for _ in range(2):
        size = int.from_bytes(signed[at : at + 4], "big")
        fields.append(signed[at + 4 : at + 4 + size])
        at += 4 + size
    if len(data) < 41 or signed[0] != 1 or at != len(signed):
        raise FormatError("token", "not of the form of version 1")
    try:
        upload_id, text = (field.decode("utf-8") for field in fields)
    except UnicodeDecodeError:
        raise FormatError("token", "not UTF-8") from None
    envelope = parse_envelope(text)
    if envelope.layout != "multipart":
        raise FormatError("token", "the envelope's layout isn't multipart")
    return UploadToken(upload_id, envelope, signed, mac)


def verify_token(dek: bytes, token: UploadToken) -> None:
    expected = hmac.new(token_key(dek), token.signed, hashlib.sha256).digest()
    if not hmac.compare_digest(expected, token.mac):
        raise FormatError("token", "the MAC doesn't verify")
