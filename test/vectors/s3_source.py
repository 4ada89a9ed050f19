"""Fetches an object from an S3 backend with the standard library alone (SigV4, path style)."""

import hashlib
import hmac
import http.client
import tempfile
from datetime import datetime, timezone
from typing import IO, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import quote, urlsplit

from nebulaio_format import FormatError

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Backend(NamedTuple):
    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"


def hmac_sha256(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).digest()


def sign(backend: Backend, host: str, path: str, query: str, now: datetime) -> Dict[str, str]:
    """Headers of a GET without a body, by the AWS page "Signature Version 4 signing process"."""
    time = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{backend.region}/s3/aws4_request"
    headers = {"host": host, "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": time}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"GET\n{path}\n{query}\n{lines}\n{names}\n{EMPTY_SHA256}"
    digest = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
    key = ("AWS4" + backend.secret_key).encode("utf-8")
    for step in scope.split("/"):
        key = hmac_sha256(key, step)
    signature = hmac_sha256(key, f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}").hex()
    credential = f"Credential={backend.access_key}/{scope}"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def fetch(
    backend: Backend, bucket: str, key: str, version_id: Optional[str] = None
) -> Tuple[List[Tuple[str, str]], IO[bytes], int]:
    """The object's headers, its stored bytes in a temporary file, and their announced count."""
    url = urlsplit(backend.endpoint)
    secure = url.scheme == "https"
    connection_type = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connection_type(url.hostname or "", url.port, timeout=60)
    path = f"/{quote(bucket, safe='')}/{quote(key, safe='/~')}"
    query = f"versionId={quote(version_id, safe='~')}" if version_id else ""
    headers = sign(backend, url.netloc, path, query, datetime.now(timezone.utc))
    try:
        target = f"{path}?{query}" if query else path
        connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        if response.status != 200:
            raise FormatError("backend", f"{response.status} {response.read(500)!r}")
        announced = int(response.getheader("content-length", "-1"))
        body = tempfile.TemporaryFile()
        while True:
            block = response.read(1 << 20)
            if not block:
                break
            body.write(block)
        return response.getheaders(), body, body.tell() if announced < 0 else announced
    except http.client.IncompleteRead:
        raise FormatError("truncation", "the backend closed the connection early") from None
    finally:
        connection.close()
