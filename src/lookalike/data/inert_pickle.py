"""A pickle read with stand-ins: nothing in it is executed.

The opcodes are carried out here, one by one, not by Python's unpickler: whatever a pickle names is only a name,
whatever it calls gives `INERT`, but for the few builders that the caller names. Only text and numbers are kept as keys
of a dict, so nothing is hashed that a pickle has built: a deeply nested key would end the process, one of shared
tuples would take for ever. Nothing is copied more often than there are opcodes, either.
"""

import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple

MAX_OPCODES = 5_000_000  # of an honest checkpoint, a hundred thousand; an empty list of one byte takes 56 in memory
_MAX_KEY = 2**31  # numbers above, of keys and of the memo, can be chosen so that each has the hash of all others
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


def ordered_dict(*arguments: object) -> object:
    """What `collections.OrderedDict` and `defaultdict` become: a dict of the items whose key is kept."""
    return _items(arguments[-1]) if arguments else {}


class Machine:
    """The stack, the marks in it and the memo of one pickle; `_name` carries out the opcode NAME.

    Args:
        strict: Refuse keys that are not kept, and calls of anything else than a builder.
        builders: What a name that is called gives, instead of `INERT`.
        callers: Names that call their first argument with the third.
    """

    def __init__(
        self, strict: bool, builders: Mapping[Name, Callable[..., object]], callers: tuple[Name, ...] = ()
    ) -> None:
        self._strict, self._builders, self._callers = strict, builders, callers
        self._copied = 0  # parts of what calls were given
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def named(self, module: str, name: str) -> object:
        """What a name stands for; only that, where it means nothing else to the caller."""
        return Name(module, name)

    def built(self, value: object, state: object) -> object:
        """An object after it was given its state, which is dropped: torch keeps version numbers in that of dicts."""
        return value

    def persistent(self, pid: object) -> object:
        """What is kept outside of the pickle, by its number there."""
        return INERT

    def pop(self) -> Any:
        """The uppermost value of the stack."""
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
        self.stack.append(self.named(*argument.split(" ", 1)))

    def _stack_global(self, _: object) -> None:
        name, module = self.pop(), self.pop()
        both = isinstance(module, str) and isinstance(name, str)
        self.stack.append(self.named(module, name) if both else INERT)

    def _called(self, function: object, arguments: object) -> None:
        while isinstance(function, Name) and function in self._callers and isinstance(arguments, tuple):
            self.count(1)
            function, arguments = arguments[0], arguments[2]
        # What is no name may be anything that a pickle has built: it must not be hashed.
        builder = self._builders.get(function) if isinstance(function, Name) else None
        if self._strict and builder is None:
            what = f"{function.module}.{function.name}" if isinstance(function, Name) else "what is no function"
            raise pickle.UnpicklingError(f"it calls {what}")
        if builder is None or not isinstance(arguments, tuple):
            self.stack.append(INERT)
            return
        # The memo hands the same parts out again and again, in a few bytes each time.
        self.count(len(arguments))
        self.count(sum(len(part) for part in arguments if isinstance(part, list | tuple | dict)))
        self.stack.append(builder(*arguments))

    def count(self, parts: int) -> None:
        """Adds to the parts that were copied.

        Args:
            parts: How many.

        Raises:
            UnpicklingError: They are too many.
        """
        self._copied += parts
        if self._copied > MAX_OPCODES:
            raise pickle.UnpicklingError("it copies its parts again and again, which torch never does")

    def _inst(self, argument: str) -> None:
        self._called(self.named(*argument.split(" ", 1)), tuple(self._above_mark()))

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
        state, value = self.pop(), self.pop()
        self.stack.append(self.built(value, state))

    def _persid(self, _: object) -> None:
        self.stack.append(INERT)

    def _binpersid(self, _: object) -> None:
        self.stack.append(self.persistent(self.pop()))

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


def run(stream: IO[bytes], machine: Machine) -> object:
    """What a pickle holds.

    Args:
        stream: In memory: its `read` must not make room for more than there is. It is left behind the pickle.
        machine: Carries it out.

    Returns:
        Plain values, dicts with the keys that are text or numbers, tuples, lists, what builders made, and `INERT` for
        everything else.

    Raises:
        UnpicklingError: It is damaged, has more than `MAX_OPCODES` parts, or uses what torch never does.
    """
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number >= MAX_OPCODES:
            raise pickle.UnpicklingError(f"it has more than {MAX_OPCODES} parts")
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return machine.pop()
