"""What an actor reads when it begins a life: configuration, accounts, shared objects.

Ray starts a lost actor again with its first arguments, so whatever may change is kept beside the
actors, in the cluster's own key-value store, which outlives each of them (not the head node,
unless it is made durable). That store's Python interface is private to Ray: this is its one
wrapper.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from ray.experimental import internal_kv


@dataclass(frozen=True, slots=True)
class Shared:
    """Stands for a large object, such as a price path, that many accounts read.

    Put it into ``AccountSpec.options`` in the object's stead.
    """

    name: str


class Registry:
    """Named objects of one engine, by kind."""

    def __init__(self, namespace: str) -> None:
        """Look at the engine that runs in ``namespace``."""
        self._space = f"risk-engine/{namespace}".encode()

    def put(self, kind: str, name: str, value: object) -> None:
        """Keep an object, in place of one of that name."""
        data = pickle.dumps(value, protocol=5)
        internal_kv._internal_kv_put(
            self._key(kind, name), data, overwrite=True, namespace=self._space
        )

    def get(self, kind: str, name: str) -> Any:
        """Return an object.

        Raises:
            KeyError: there is none of that kind and name.
        """
        data = internal_kv._internal_kv_get(self._key(kind, name), namespace=self._space)
        if data is None:
            raise KeyError(f"no {kind} {name!r} is registered in {self._space.decode()!r}")
        return pickle.loads(data)

    def remove(self, kind: str, name: str) -> None:
        """Forget an object; harmless if there is none."""
        internal_kv._internal_kv_del(self._key(kind, name), namespace=self._space)

    def names(self, kind: str) -> list[str]:
        """Name the objects of a kind, in order of their names."""
        prefix = self._key(kind, "")
        keys = internal_kv._internal_kv_list(prefix, namespace=self._space)
        return sorted(key[len(prefix) :].decode() for key in keys)

    def clear(self) -> None:
        """Forget everything of this engine."""
        internal_kv._internal_kv_del(b"", del_by_prefix=True, namespace=self._space)

    @staticmethod
    def _key(kind: str, name: str) -> bytes:
        return f"{kind}/{name}".encode()
