#!/usr/bin/env python3
"""Decrypts one object without any code of the proxy, by docs/format.md.

With the stored bytes in a file:
  read_object.py --store DIR --master-key FILE --bucket B --key K --envelope TEXT --body FILE
Straight from an S3 backend (the secret key is in the environment, BACKEND_SECRET_KEY):
  read_object.py --store DIR --master-key FILE --bucket B --key K --endpoint URL --access-key ID

A store with a password takes it from the environment, NEBULAIO_MASTER_PASSWORD. The plaintext goes
to the standard output, each package once it's verified; exit code 1 means that what came out
isn't the whole object.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import IO, List, Optional, Tuple

import s3_source
from local_key_store import LocalKeyStore, read_folder, read_master_key
from nebulaio_format import (
    ENVELOPE_NAME,
    FormatError,
    find_envelope,
    open_envelope,
    read_object,
)


class FileSource:
    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file = file
        self.size = size

    def read_at(self, offset: int, size: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(size)


def parse_arguments(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", type=Path, required=True, help="folder of the local key store")
    parser.add_argument("--master-key", type=Path, help="master key file")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--backend-bucket", help="the bucket's name in the backend, if another")
    parser.add_argument("--envelope", help=f"value of {ENVELOPE_NAME}")
    parser.add_argument("--body", type=Path, help="file with the stored bytes")
    parser.add_argument("--endpoint", help="URL of the S3 backend")
    parser.add_argument("--access-key")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--version-id")
    parser.add_argument("--sizes", help="plaintext sizes of all parts, with commas")
    options = parser.parse_args(arguments)
    from_file = options.body is not None and options.envelope is not None
    from_backend = options.endpoint is not None and options.access_key is not None
    if from_file == from_backend:
        parser.error("give --body and --envelope, or --endpoint and --access-key")
    return options


def open_store(options: argparse.Namespace) -> LocalKeyStore:
    files = read_folder(options.store)
    if options.master_key is not None:
        return LocalKeyStore(files, master_key=read_master_key(options.master_key))
    return LocalKeyStore(files, password=os.environ.get("NEBULAIO_MASTER_PASSWORD", ""))


def locate(options: argparse.Namespace) -> Tuple[List[Tuple[str, str]], IO[bytes], int]:
    if options.body is not None:
        body = options.body.open("rb")
        return [(ENVELOPE_NAME, options.envelope)], body, options.body.stat().st_size
    secret = os.environ.get("BACKEND_SECRET_KEY", "")
    backend = s3_source.Backend(options.endpoint, options.access_key, secret, options.region)
    bucket = options.backend_bucket or options.bucket
    return s3_source.fetch(backend, bucket, options.key, options.version_id)


def run(options: argparse.Namespace) -> None:
    store = open_store(options)
    headers, body, size = locate(options)
    envelope = find_envelope(headers)
    if envelope is None:
        raise FormatError("envelope", "the object has none: it isn't encrypted by this format")
    dek = open_envelope(envelope, options.bucket, options.key, store.unwrap)
    sizes = [int(x) for x in options.sizes.split(",")] if options.sizes else None
    with body:
        for package in read_object(dek, envelope.layout, FileSource(body, size), sizes):
            sys.stdout.buffer.write(package)
    sys.stdout.buffer.flush()


def main(arguments: Optional[List[str]] = None) -> int:
    options = parse_arguments(arguments)
    try:
        run(options)
    except (FormatError, OSError, ValueError) as error:
        print(f"read_object: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
