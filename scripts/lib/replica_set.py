"""replica_set.py PORT NAME: makes the mongod on 127.0.0.1:PORT the primary of a one-member replica set."""

import sys

from stores import StoreError, initiate_replica_set

if __name__ == "__main__":
    port, name = sys.argv[1:]
    try:
        initiate_replica_set(f"mongodb://127.0.0.1:{port}/admin", name, f"127.0.0.1:{port}")
    except StoreError as error:
        sys.exit(f"error: {error}")
