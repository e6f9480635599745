"""The numbers of the tensors in a torch file: of its zip archive, or behind the pickle of files before torch 1.6."""

import sys
import zipfile
from abc import ABC, abstractmethod
from mmap import mmap

import torch
from torch import Tensor

from lookalike.models.tensor_pickle import StorageDescription, TensorDescription


class Storages(ABC):
    """The storages of a file, each read once.

    Args:
        order: Of the bytes, `little` or `big`.
    """

    def __init__(self, order: str) -> None:
        self._swap = order != sys.byteorder
        self._read: dict[str, tuple[torch.dtype, Tensor]] = {}

    @abstractmethod
    def content(self, key: str, most: int) -> bytes:
        """The bytes of a storage.

        Args:
            key: Of the storage.
            most: Bytes that it may have, by what the pickle said of it.
        """

    def tensor(self, description: TensorDescription) -> Tensor:
        """Makes a tensor from its description, which must lie inside its storage.

        Raises:
            ValueError: It does not, or its shape is none.
        """
        storage, offset, size, stride, dtype = description
        key, kind, count, first = storage
        whole_shape = isinstance(size, tuple | list) and isinstance(stride, tuple | list) and len(size) == len(stride)
        numbers = (count, first, offset, *size, *stride) if whole_shape else (None,)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError(f"a tensor of storage {key} has an impossible shape")
        offset += first * kind.itemsize // dtype.itemsize
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        if all(size) and last >= count * kind.itemsize // dtype.itemsize:  # before its bytes are read
            raise ValueError(f"a tensor reaches beyond its storage {key}")
        data = self._bytes(storage)
        room = min(len(data), count * kind.itemsize) // dtype.itemsize
        if all(size) and last >= room:
            raise ValueError(f"a tensor reaches beyond its storage {key}")
        whole = data[: room * dtype.itemsize].view(dtype)
        return whole.as_strided(tuple(size), tuple(stride), offset) if all(size) else whole.new_empty(tuple(size))

    def _bytes(self, storage: StorageDescription) -> Tensor:
        key, kind = storage.key, storage.dtype
        if key not in self._read:
            content = bytearray(self.content(key, storage.numbers * kind.itemsize))
            data = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
            if self._swap:
                data = data.view(-1, kind.itemsize).flip(1).flatten()
            self._read[key] = (kind, data)
        return self._read[key][1]


class ArchiveStorages(Storages):
    """The members of a zip archive.

    Args:
        archive: Open, its members not compressed.
        top: The folder inside it.

    Raises:
        ValueError: A byte order that does not exist.
    """

    def __init__(self, archive: zipfile.ZipFile, top: str) -> None:
        self._archive, self._top = archive, top
        order = b"little"
        if f"{top}/byteorder" in archive.namelist():
            order = archive.read(f"{top}/byteorder")
        if order not in (b"little", b"big"):
            raise ValueError(f"unknown byte order {order[:20]!r}")
        super().__init__(order.decode())

    def content(self, key: str, most: int) -> bytes:
        """The bytes of a member."""
        member = self._archive.getinfo(f"{self._top}/data/{key}")
        if member.file_size > most:
            raise ValueError(f"its storage {key} has {member.file_size} bytes, expected {most}")
        return self._archive.read(member)


class StoragesInOrder(Storages):
    """One behind the other, each with the count of its numbers before it, as torch wrote them before 1.6.

    Args:
        file: Open in memory, at the first of them.
        keys: In the order of the file.
        mentioned: Key -> what the pickle said of it.
        order: Of the bytes, `little` or `big`.

    Raises:
        ValueError: They do not fill the file as they say.
    """

    def __init__(self, file: mmap, keys: object, mentioned: dict[str, StorageDescription], order: str) -> None:
        super().__init__(order)
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        place = file.tell()
        for key in keys if isinstance(keys, list) else []:
            storage = mentioned.get(key) if isinstance(key, str) else None
            if storage is None:
                raise ValueError("it has a storage that no tensor uses")
            count = int.from_bytes(file[place : place + 8], "little" if order == "little" else "big")
            end = place + 8 + count * storage.dtype.itemsize
            if end > len(file):
                raise ValueError(f"its storage {key} ends behind the file: it is cut off")
            self._places[storage.key] = (place + 8, end)
            place = end

    def content(self, key: str, most: int) -> bytes:
        """The bytes of a storage."""
        if key not in self._places:
            raise ValueError(f"its storage {key} is missing")
        start, end = self._places[key]
        return self._file[start:end]
