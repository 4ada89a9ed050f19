"""AES-256-GCM from whatever the machine has.

`seal(key, nonce, plaintext, aad)` returns ciphertext and tag(16), joined;
`open_sealed(key, nonce, sealed, aad)` returns the plaintext or raises `TagError`. The first of these that works is taken: the
`cryptography` package, libcrypto through ctypes, plain Python (slow: about 100 KB/s, and not in
constant time: for checks only).
"""

import ctypes
import ctypes.util
import hmac
import sys
from typing import Callable, List, NamedTuple, Optional

TAG_SIZE = 16

Cipher = Callable[[bytes, bytes, bytes, bytes], bytes]


class TagError(Exception):
    """The tag doesn't verify: nothing of the plaintext may be used."""


class Backend(NamedTuple):
    name: str
    seal: Cipher
    open_sealed: Cipher


def cryptography_backend() -> Optional[Backend]:
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        return None

    def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        return bytes(AESGCM(key).encrypt(nonce, plaintext, aad))

    def open_sealed(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        try:
            return bytes(AESGCM(key).decrypt(nonce, sealed, aad))
        except InvalidTag:
            raise TagError("the tag doesn't verify") from None

    return Backend("cryptography", seal, open_sealed)


def load_libcrypto() -> Optional[ctypes.CDLL]:
    """The library behind the `ssl` module; macOS ends processes that load its own libcrypto."""
    import _ssl

    paths = [getattr(_ssl, "__file__", None)]
    if sys.platform != "darwin":
        paths.append(ctypes.util.find_library("crypto"))
    for path in paths:
        if path is None:
            continue
        try:
            library = ctypes.CDLL(path)
            library.EVP_aes_256_gcm
            return library
        except (OSError, AttributeError):
            continue
    return None


def libcrypto_backend() -> Optional[Backend]:
    try:
        lib = load_libcrypto()
    except ImportError:
        return None
    if lib is None:
        return None
    set_ivlen, get_tag, set_tag = 0x09, 0x10, 0x11
    pointer, number = ctypes.c_void_p, ctypes.c_int
    lib.EVP_aes_256_gcm.restype = pointer
    lib.EVP_CIPHER_CTX_new.restype = pointer
    lib.EVP_CIPHER_CTX_free.argtypes = [pointer]
    lib.EVP_CIPHER_CTX_ctrl.argtypes = [pointer, number, number, pointer]
    lib.EVP_CipherInit_ex.argtypes = [pointer] * 5 + [number]
    lib.EVP_CipherUpdate.argtypes = [pointer, pointer, ctypes.POINTER(number), pointer, number]
    lib.EVP_CipherFinal_ex.argtypes = [pointer, pointer, ctypes.POINTER(number)]

    def must(status: int) -> None:
        if status != 1:
            raise RuntimeError("libcrypto refused a call")

    def run(encrypt: int, key: bytes, nonce: bytes, data: bytes, aad: bytes, tag: bytes) -> bytes:
        context = lib.EVP_CIPHER_CTX_new()
        out = ctypes.create_string_buffer(len(data) + 16)
        length = number(0)
        try:
            must(lib.EVP_CipherInit_ex(context, lib.EVP_aes_256_gcm(), None, None, None, encrypt))
            must(lib.EVP_CIPHER_CTX_ctrl(context, set_ivlen, len(nonce), None))
            must(lib.EVP_CipherInit_ex(context, None, None, key, nonce, encrypt))
            if aad:
                must(lib.EVP_CipherUpdate(context, None, ctypes.byref(length), aad, len(aad)))
            if data:
                must(lib.EVP_CipherUpdate(context, out, ctypes.byref(length), data, len(data)))
            if not encrypt:
                must(lib.EVP_CIPHER_CTX_ctrl(context, set_tag, TAG_SIZE, tag))
            rest = ctypes.create_string_buffer(16)
            if lib.EVP_CipherFinal_ex(context, rest, ctypes.byref(length)) != 1:
                raise TagError("the tag doesn't verify")
            if not encrypt:
                return out.raw[: len(data)]
            made = ctypes.create_string_buffer(TAG_SIZE)
            must(lib.EVP_CIPHER_CTX_ctrl(context, get_tag, TAG_SIZE, made))
            return out.raw[: len(data)] + made.raw
        finally:
            lib.EVP_CIPHER_CTX_free(context)

    def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        return run(1, key, nonce, plaintext, aad, b"")

    def open_sealed(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        if len(sealed) < TAG_SIZE:
            raise TagError("shorter than a tag")
        return run(0, key, nonce, sealed[:-TAG_SIZE], aad, sealed[-TAG_SIZE:])

    return Backend("libcrypto", seal, open_sealed)


def make_sbox() -> List[int]:
    """FIPS 197 §5.1.1: the inverse in GF(2^8), then the affine map."""
    box = [0x63] * 256
    p = q = 1
    while True:
        p ^= ((p << 1) & 0xFF) ^ (0x1B if p & 0x80 else 0)
        for shift in (1, 2, 4):
            q ^= (q << shift) & 0xFF
        if q & 0x80:
            q ^= 0x09
        turned = q
        for shift in (1, 2, 3, 4):
            turned ^= ((q << shift) | (q >> (8 - shift))) & 0xFF
        box[p] = turned ^ 0x63
        if p == 1:
            return box


SBOX = make_sbox()


def double(a: int) -> int:
    return ((a << 1) & 0xFF) ^ (0x1B if a & 0x80 else 0)


def rotate_right(word: int) -> int:
    return (word >> 8) | ((word & 0xFF) << 24)


T0 = [(double(s) << 24) | (s << 16) | (s << 8) | (double(s) ^ s) for s in SBOX]
T1 = [rotate_right(t) for t in T0]
T2 = [rotate_right(t) for t in T1]
T3 = [rotate_right(t) for t in T2]


def sub_word(w: int) -> int:
    return SBOX[w >> 24] << 24 | SBOX[w >> 16 & 255] << 16 | SBOX[w >> 8 & 255] << 8 | SBOX[w & 255]


def expand_aes_key(key: bytes) -> List[int]:
    """FIPS 197 §5.2 for 256 bits: 60 words."""
    words = [int.from_bytes(key[i : i + 4], "big") for i in range(0, 32, 4)]
    rcon = 1
    for i in range(8, 60):
        word = words[i - 1]
        if i % 8 == 0:
            word = sub_word(((word << 8) & 0xFFFFFFFF) | (word >> 24)) ^ (rcon << 24)
            rcon = double(rcon)
        elif i % 8 == 4:
            word = sub_word(word)
        words.append(words[i - 8] ^ word)
    return words


def encrypt_block(words: List[int], block: bytes) -> bytes:
    a, b, c, d = (int.from_bytes(block[i : i + 4], "big") ^ words[i // 4] for i in (0, 4, 8, 12))
    for r in range(4, 56, 4):
        a, b, c, d = (
            T0[a >> 24] ^ T1[b >> 16 & 255] ^ T2[c >> 8 & 255] ^ T3[d & 255] ^ words[r],
            T0[b >> 24] ^ T1[c >> 16 & 255] ^ T2[d >> 8 & 255] ^ T3[a & 255] ^ words[r + 1],
            T0[c >> 24] ^ T1[d >> 16 & 255] ^ T2[a >> 8 & 255] ^ T3[b & 255] ^ words[r + 2],
            T0[d >> 24] ^ T1[a >> 16 & 255] ^ T2[b >> 8 & 255] ^ T3[c & 255] ^ words[r + 3],
        )
    last = []
    for i, (p, q, s, t) in enumerate(((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c))):
        word = SBOX[p >> 24] << 24 | SBOX[q >> 16 & 255] << 16 | SBOX[s >> 8 & 255] << 8
        last.append((word | SBOX[t & 255]) ^ words[56 + i])
    return b"".join(word.to_bytes(4, "big") for word in last)


def ghash(h: bytes, aad: bytes, data: bytes) -> int:
    """NIST SP 800-38D §6.4, with one table for each byte of a block."""
    reduction = 0xE1 << 120
    powers = [int.from_bytes(h, "big")]
    for _ in range(127):
        v = powers[-1]
        powers.append((v >> 1) ^ (reduction if v & 1 else 0))
    tables = []
    for position in range(16):
        table = [0] * 256
        for bit in range(8):
            table[0x80 >> bit] = powers[8 * position + bit]
        for value in range(1, 256):
            low = value & -value
            table[value] = table[low] ^ table[value ^ low]
        tables.append(table)
    text = aad + bytes(-len(aad) % 16) + data + bytes(-len(data) % 16)
    text += (8 * len(aad)).to_bytes(8, "big") + (8 * len(data)).to_bytes(8, "big")
    y = 0
    for i in range(0, len(text), 16):
        y ^= int.from_bytes(text[i : i + 16], "big")
        z = 0
        for table, value in zip(tables, y.to_bytes(16, "big")):
            z ^= table[value]
        y = z
    return y


def python_backend() -> Backend:
    def keystream(words: List[int], nonce: bytes, size: int) -> bytes:
        blocks = range(2, 2 + (size + 15) // 16)
        return b"".join(encrypt_block(words, nonce + i.to_bytes(4, "big")) for i in blocks)[:size]

    def crypt(words: List[int], nonce: bytes, data: bytes) -> bytes:
        pad = keystream(words, nonce, len(data))
        mixed = int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")
        return mixed.to_bytes(len(data), "big")

    def tag(words: List[int], nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        digest = ghash(encrypt_block(words, bytes(16)), aad, ciphertext)
        mask = encrypt_block(words, nonce + b"\0\0\0\1")
        return (digest ^ int.from_bytes(mask, "big")).to_bytes(16, "big")

    def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        words = expand_aes_key(key)
        ciphertext = crypt(words, nonce, plaintext)
        return ciphertext + tag(words, nonce, ciphertext, aad)

    def open_sealed(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        words = expand_aes_key(key)
        ciphertext, given = sealed[:-TAG_SIZE], sealed[-TAG_SIZE:]
        if not hmac.compare_digest(tag(words, nonce, ciphertext, aad), given):
            raise TagError("the tag doesn't verify")
        return crypt(words, nonce, ciphertext)

    return Backend("python", seal, open_sealed)


def backends() -> List[Backend]:
    """All that work on this machine, the preferred one first."""
    found = [cryptography_backend(), libcrypto_backend(), python_backend()]
    return [backend for backend in found if backend is not None]


BACKEND = backends()[0]


def check_sizes(key: bytes, nonce: bytes) -> None:
    if len(key) != 32 or len(nonce) != 12:
        raise ValueError("expected a key of 32 and a nonce of 12 bytes")


def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes = b"") -> bytes:
    check_sizes(key, nonce)
    return BACKEND.seal(key, nonce, plaintext, aad)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, aad: bytes = b"") -> bytes:
    check_sizes(key, nonce)
    return BACKEND.open_sealed(key, nonce, sealed, aad)
