"""A pickle read with stand-ins: nothing in it is executed, tensors become descriptions.

The opcodes are carried out here, one by one, not by Python's unpickler: whatever a pickle names is only a name,
whatever it calls gives `INERT`, but for the few functions that build tensors. Only text and numbers are kept as keys
of a dict, so nothing is hashed that a pickle has built: a deeply nested key would end the process, one of shared
tuples would take for ever. Nothing is copied more often than there are opcodes, either.
"""

import pickle
import pickletools
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import torch

MAX_OPCODES = 5_000_000  # of an honest checkpoint, a hundred thousand; an empty list of one byte takes 56 in memory
_MAX_KEY = 2**31  # numbers above, of keys and of the memo, can be chosen so that each has the hash of all others
_MAX_DIMENSIONS = 64  # of a tensor; torch's own limit
_DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"),
    *("SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BYTEARRAY8"),
}
_NO_EFFECT = {"PROTO", "FRAME", "READONLY_BUFFER"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Inert:
    """Stands for every object that is neither a plain value nor a tensor; there is one, `INERT`."""

    __slots__ = ()


INERT = Inert()


class Name(NamedTuple):
    """What a pickle would import."""

    module: str
    name: str


class StorageDescription(NamedTuple):
    """The numbers of some tensors: where they are in the file, their type, how many, and which is the first."""

    key: str
    dtype: torch.dtype
    numbers: int
    first: int = 0


class TensorDescription(NamedTuple):
    """A tensor that is made when it is needed."""

    storage: StorageDescription
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class Unpickled(NamedTuple):
    """What a pickle holds.

    Attributes:
        content: Plain values, dicts with the keys that are text or numbers, tuples, lists, descriptions of
            tensors, and INERT.
        storages: Key -> every storage that is mentioned.
    """

    content: object
    storages: dict[str, StorageDescription]


def _is_key(value: object) -> bool:
    """Whether hashing it takes no time, however it was made."""
    return value is None or type(value) in (str, bool, float) or (type(value) is int and 0 <= value < _MAX_KEY)


def _items(pairs: object) -> dict[object, object]:
    """The items whose key is kept."""
    if isinstance(pairs, dict):
        return dict(pairs)
    kind = (list, tuple)
    whole = [pair for pair in pairs if isinstance(pair, kind) and len(pair) == 2] if isinstance(pairs, list) else []
    return {key: value for key, value in whole if _is_key(key)}


def _ordered_dict(*arguments: object) -> object:
    return _items(arguments[-1]) if arguments else {}


def _tensor(storage: object, offset: Any, size: Any, stride: Any, *rest: object) -> object:
    if not isinstance(storage, StorageDescription) or any(rest[2:]):  # conjugated or negated views are not plain
        return INERT
    return _described(storage, offset, size, stride, storage.dtype)


def _typed_tensor(
    storage: object, offset: Any, size: Any, stride: Any, grad: object, hooks: object, dtype: object, *rest: object
) -> object:
    if not isinstance(storage, StorageDescription) or not isinstance(dtype, torch.dtype) or any(rest):
        return INERT
    return _described(storage, offset, size, stride, dtype)


def _described(
    storage: StorageDescription, offset: object, size: object, stride: object, dtype: torch.dtype
) -> TensorDescription:
    """A tensor whose numbers are numbers, so that whoever compares or prints them is done at once.

    Raises:
        UnpicklingError: They are not.
    """
    first, sizes, strides = _whole_numbers((offset,)), _whole_numbers(size), _whole_numbers(stride)
    if first is None or sizes is None or strides is None or len(sizes) != len(strides):
        raise pickle.UnpicklingError(f"a tensor of storage {storage.key[:40]} has an impossible shape")
    return TensorDescription(storage, first[0], sizes, strides, dtype)


def _whole_numbers(value: object) -> tuple[int, ...] | None:
    """Sizes or strides; None for anything else."""
    if not isinstance(value, tuple | list) or len(value) > _MAX_DIMENSIONS:
        return None
    return tuple(value) if all(type(number) is int and number >= 0 for number in value) else None


def _first(*arguments: object) -> object:
    return arguments[0]


def _size(sizes: object = ()) -> object:
    return tuple(sizes) if isinstance(sizes, list | tuple) else INERT


_BUILDERS: dict[Name, Callable[..., object]] = {
    Name("collections", "OrderedDict"): _ordered_dict,
    Name("collections", "defaultdict"): _ordered_dict,
    Name("torch", "Size"): _size,
    Name("torch", "device"): lambda *_: INERT,
    Name("torch._utils", "_rebuild_tensor"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    Name("torch._utils", "_rebuild_parameter"): _first,
    Name("torch._utils", "_rebuild_parameter_with_state"): _first,
}
# Of (function, type, arguments, state): they call the function.
_CALLERS = (Name("torch._tensor", "_rebuild_from_type"), Name("torch._tensor", "_rebuild_from_type_v2"))


def _named(module: object, name: object) -> object:
    if module in ("torch", "torch.storage") and isinstance(name, str) and name in _STORAGES:
        return _STORAGES[name]
    if module == "torch" and isinstance(name, str) and name in _DTYPES:
        return _DTYPES[name]
    return Name(str(module), str(name)) if isinstance(module, str) and isinstance(name, str) else INERT


class _Machine:
    """The stack, the marks in it and the memo of one pickle; `_name` carries out the opcode NAME.

    Args:
        strict: Refuse keys that are not kept, and calls of anything else than what builds tensors.
    """

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._copied = 0  # parts of what calls were given
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self.storages: dict[str, StorageDescription] = {}

    def pop(self) -> Any:
        if len(self.stack) <= (self._marks[-1] if self._marks else 0):
            raise pickle.UnpicklingError("it takes from an empty stack")
        return self.stack.pop()

    def _above_mark(self) -> list[Any]:
        if not self._marks:
            raise pickle.UnpicklingError("it ends what it has not begun")
        place = self._marks.pop()
        values = self.stack[place:]
        del self.stack[place:]
        return values

    def step(self, name: str, argument: Any) -> None:
        """Carries out one opcode.

        Raises:
            UnpicklingError: It makes no sense here, or looks classes up by number.
        """
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self.stack.append(tuple(reversed([self.pop() for _ in range(_TUPLES[name])])))
        elif name not in _NO_EFFECT:
            action = getattr(self, f"_{name.lower()}", None)
            if action is None:  # EXT1 and the like hand out classes without asking for them by name
                raise pickle.UnpicklingError(f"it uses {name} (the extension registry), which torch never does")
            action(argument)

    def _mark(self, _: object) -> None:
        self._marks.append(len(self.stack))

    def _pop(self, _: object) -> None:
        if self._marks and self._marks[-1] == len(self.stack):
            self._marks.pop()
        else:
            self.pop()

    def _pop_mark(self, _: object) -> None:
        self._above_mark()

    def _dup(self, _: object) -> None:
        value = self.pop()
        self.stack += [value, value]

    def _tuple(self, _: object) -> None:
        self.stack.append(tuple(self._above_mark()))

    def _empty_list(self, _: object) -> None:
        self.stack.append([])

    def _list(self, _: object) -> None:
        self.stack.append(self._above_mark())

    def _appends(self, _: object) -> None:
        self._extend(self._above_mark())

    def _append(self, _: object) -> None:
        self._extend([self.pop()])

    def _extend(self, values: list[Any]) -> None:
        target = self.pop()
        if isinstance(target, list):
            target.extend(values)
        self.stack.append(target)

    def _empty_dict(self, _: object) -> None:
        self.stack.append({})

    def _dict(self, _: object) -> None:
        values = self._above_mark()
        self.stack.append({})
        self._fill(values)

    def _setitems(self, _: object) -> None:
        self._fill(self._above_mark())

    def _setitem(self, _: object) -> None:
        value, key = self.pop(), self.pop()
        self._fill([key, value])

    def _fill(self, values: list[Any]) -> None:
        target = self.pop()
        for key, value in zip(values[::2], values[1::2], strict=True):
            if isinstance(target, dict) and _is_key(key):
                target[key] = value
            elif self._strict:
                what = "number beyond 2 ** 31" if type(key) is int else type(key).__name__
                raise pickle.UnpicklingError(f"a key is a {what}, expected text or a number")
        self.stack.append(target)

    def _empty_set(self, _: object) -> None:
        self.stack.append(INERT)

    def _additems(self, _: object) -> None:
        self._above_mark()
        self.stack.append(self.pop())

    def _frozenset(self, _: object) -> None:
        self._above_mark()
        self.stack.append(INERT)

    def _next_buffer(self, _: object) -> None:
        self.stack.append(INERT)

    def _global(self, argument: str) -> None:
        self.stack.append(_named(*argument.split(" ", 1)))

    def _stack_global(self, _: object) -> None:
        name, module = self.pop(), self.pop()
        self.stack.append(_named(module, name))

    def _called(self, function: object, arguments: object) -> None:
        while isinstance(function, Name) and function in _CALLERS and isinstance(arguments, tuple):
            self._count(1)
            function, arguments = arguments[0], arguments[2]
        # What is no name may be anything that a pickle has built: it must not be hashed.
        builder = _BUILDERS.get(function) if isinstance(function, Name) else None
        if self._strict and builder is None:
            what = f"{function.module}.{function.name}" if isinstance(function, Name) else "what is no function"
            raise pickle.UnpicklingError(f"it calls {what}")
        if builder is None or not isinstance(arguments, tuple):
            self.stack.append(INERT)
            return
        # The memo hands the same parts out again and again, in a few bytes each time.
        self._count(len(arguments))
        self._count(sum(len(part) for part in arguments if isinstance(part, list | tuple | dict)))
        self.stack.append(builder(*arguments))

    def _count(self, parts: int) -> None:
        self._copied += parts
        if self._copied > MAX_OPCODES:
            raise pickle.UnpicklingError("it copies its parts again and again, which torch never does")

    def _inst(self, argument: str) -> None:
        self._called(_named(*argument.split(" ", 1)), tuple(self._above_mark()))

    def _obj(self, _: object) -> None:
        function, *arguments = self._above_mark() or [INERT]
        self._called(function, tuple(arguments))

    def _reduce(self, _: object) -> None:
        arguments, function = self.pop(), self.pop()
        self._called(function, arguments)

    _newobj = _reduce

    def _newobj_ex(self, _: object) -> None:
        self.pop()
        self._reduce(None)

    def _build(self, _: object) -> None:
        """Drops the state: torch keeps version numbers in that of dicts."""
        self.pop()
        self.stack.append(self.pop())

    def _persid(self, _: object) -> None:
        self.stack.append(INERT)

    def _binpersid(self, _: object) -> None:
        pid = self.pop()
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], torch.dtype)):
            self.stack.append(INERT)
            return
        view = pid[5] if len(pid) > 5 else None  # of files before torch 1.6: key, first, count
        first = view[1] if isinstance(view, tuple) and len(view) == 3 else 0
        storage = StorageDescription(str(pid[2]) if isinstance(pid[2], str | int) else "", pid[1], pid[4], first)
        if self.storages.setdefault(storage.key, storage).dtype != storage.dtype:
            raise pickle.UnpicklingError(f"its storage {storage.key} has two types, which torch never writes")
        self.stack.append(storage)

    def _put(self, number: int) -> None:
        if not 0 <= number < _MAX_KEY:
            raise pickle.UnpicklingError(f"it puts an object away under a number beyond {_MAX_KEY}")
        self._memo[number] = self.stack[-1] if self.stack else INERT

    _binput = _long_binput = _put

    def _memoize(self, _: object) -> None:
        self._put(len(self._memo))

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise pickle.UnpicklingError("it asks for an object that it has not put away")
        self.stack.append(self._memo[number])

    _binget = _long_binget = _get


def unpickled(stream: IO[bytes], strict: bool = False) -> Unpickled:
    """What a pickle holds, with stand-ins for everything but plain values.

    Args:
        stream: In memory: its `read` must not make room for more than there is. It is left behind the pickle.
        strict: Refuse keys that are not kept, and calls of anything else than what builds tensors.

    Raises:
        UnpicklingError: It is damaged, has more than `MAX_OPCODES` parts, or uses what torch never does.
    """
    machine = _Machine(strict)
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number >= MAX_OPCODES:
            raise pickle.UnpicklingError(f"it has more than {MAX_OPCODES} parts")
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return Unpickled(machine.pop(), machine.storages)
