"""Machine code of loops over vectors of channels, made while the program runs.

Neither torch nor numba keeps two dozen sums in the registers of a processor; LLVM, which numba brings along, does when
it is given vectors and loops as such. A function takes some milliseconds to compile, so nothing is kept on disk.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import llvmlite.binding as llvm
import torch
from llvmlite import ir

Bounds = tuple[float | None, float | None]  # smallest and largest value of an activation; None = no bound
Index: TypeAlias = int | ir.Value

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_WORD, _HALF = ir.IntType(32), ir.IntType(16)
_POINTER = ir.PointerType()
_NUMBERS = ("omp_get_thread_num", "omp_get_num_threads")


class Kernel:
    """A compiled function, run by the threads that torch's own operations use.

    Args:
        engine: Holds its code.
        arguments: How many it takes beyond the number of a thread and of all threads.
    """

    def __init__(self, engine: Any, arguments: int) -> None:
        self._engine, self._table = engine, ctypes.c_int64 * arguments
        self._part = ctypes.c_void_p(engine.get_function_address("part"))

    def __call__(self, threads: int, *arguments: int) -> None:
        """Runs it once in each of so many threads, with addresses and numbers."""
        _openmp().GOMP_parallel(self._part, self._table(*arguments), threads, 0)


@lru_cache(maxsize=1)
def _openmp() -> ctypes.CDLL:
    """The OpenMP that torch runs on: other threads would wait for its own, which stay awake between operations.

    Raises:
        OSError: torch has no such library here.
        AttributeError: It is another OpenMP.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    library.GOMP_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    library.GOMP_parallel.restype = None
    for name in _NUMBERS:
        llvm.add_symbol(f"lookalike_{name}", ctypes.cast(library[name], ctypes.c_void_p).value)
    return library


@lru_cache(maxsize=1)
def _vectors() -> tuple[int, int]:
    """How many values a vector register of this processor holds, and how many registers there are."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16, 32
    return (8, 16) if features.get("avx2") else (4, 16)


def _machine() -> Any:
    """LLVM's idea of this processor; what compiles with it takes it over, so each function has its own."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, codemodel="jitdefault", jit=True
    )


def lanes() -> int:
    """How many float32 values a vector of this processor holds."""
    return _vectors()[0]


def registers() -> int:
    """How many vectors it holds."""
    return _vectors()[1]


class Code:
    """One function of pointers to values, then 64-bit numbers; each of `threads` runs it with its number `thread`.

    Places in memory are counted in values; those known when the code is made are Python's numbers.

    Args:
        pointers: Names of its first arguments.
        numbers: Names of the others.
    """

    def __init__(self, pointers: str, numbers: str) -> None:
        self._module = ir.Module()
        self._module.triple = llvm.get_process_triple()
        names = [*pointers.split(), *numbers.split(), "thread", "threads"]
        kinds = [_POINTER] * len(pointers.split()) + [_INDEX] * (len(names) - len(pointers.split()))
        self._function = ir.Function(self._module, ir.FunctionType(ir.VoidType(), kinds), name="run")
        self.arguments = dict(zip(names, self._function.args, strict=True))
        for name in pointers.split():
            self.arguments[name].add_attribute("noalias")
        self._entry = self._function.append_basic_block()
        self._build = ir.IRBuilder(self._function.append_basic_block())
        self._first = self._build.block
        self.lanes = lanes()
        self._vector = ir.VectorType(_FLOAT, self.lanes)
        self._bits, self._halves = ir.VectorType(_WORD, self.lanes), ir.VectorType(_HALF, self.lanes)

    def __getitem__(self, name: str) -> ir.Value:
        return self.arguments[name]

    def add(self, *terms: Index) -> Index:
        """Their sum."""
        total: Index = sum(term for term in terms if isinstance(term, int))
        for term in terms:
            if not isinstance(term, int):
                total = term if isinstance(total, int) and not total else self._build.add(_value(total), term)
        return total

    def mul(self, left: Index, right: Index) -> Index:
        """Their product."""
        if isinstance(left, int) and isinstance(right, int):
            return left * right
        if left == 1 or right == 1:
            return right if left == 1 else left
        return self._build.mul(_value(left), _value(right))

    def subtract(self, left: Index, right: Index) -> Index:
        """The difference."""
        return self._build.sub(_value(left), _value(right))

    def smaller(self, left: Index, right: Index) -> Index:
        """The smaller of both."""
        left, right = _value(left), _value(right)
        return self._build.select(self._build.icmp_signed("<", left, right), left, right)

    @contextmanager
    def loop(self, end: Index, start: Index = 0, step: int = 1) -> Iterator[ir.Value]:
        """A loop from `start` to before `end`."""
        before = self._build.block
        head, body, after = (self._function.append_basic_block() for _ in range(3))
        self._build.branch(head)
        self._build.position_at_end(head)
        count = self._build.phi(_INDEX)
        count.add_incoming(_value(start), before)
        self._build.cbranch(self._build.icmp_signed("<", count, _value(end)), body, after)
        self._build.position_at_end(body)
        yield count
        count.add_incoming(self._build.add(count, _value(step)), self._build.block)
        self._build.branch(head)
        self._build.position_at_end(after)

    def load(self, pointer: ir.Value, place: Index, last: ir.Value | None = None, half: bool = False) -> ir.Value:
        """A vector of float32, or of bf16 made float32; with `last` only its lanes marked there, zeros elsewhere."""
        vector = self._halves if half else self._vector
        at = self._at(pointer, place, half)
        if last is None:
            loaded = self._build.load(at, align=2 if half else 4, typ=vector)
        else:
            name = f"llvm.masked.load.v{self.lanes}{'i16' if half else 'f32'}.p0"
            masked = self._intrinsic(name, vector, [_POINTER, _WORD, last.type, vector])
            zeros = ir.Constant(vector, None)
            loaded = self._build.call(masked, [at, ir.Constant(_WORD, 2 if half else 4), last, zeros])
        if not half:
            return loaded
        whole = self._build.shl(self._build.zext(loaded, self._bits), self._number(16))
        return self._build.bitcast(whole, self._vector)

    def store(
        self, value: ir.Value, pointer: ir.Value, place: Index, last: ir.Value | None = None, half: bool = False
    ) -> None:
        """Writes a vector, or its lanes marked in `last`, in bf16 rounded to the nearest, as torch does."""
        at = self._at(pointer, place, half)
        value = self._rounded(value) if half else value
        if last is None:
            self._build.store(value, at, align=2 if half else 4)
            return
        name = f"llvm.masked.store.v{self.lanes}{'i16' if half else 'f32'}.p0"
        masked = self._intrinsic(name, ir.VoidType(), [value.type, _POINTER, _WORD, last.type])
        self._build.call(masked, [value, at, ir.Constant(_WORD, 2 if half else 4), last])

    def _rounded(self, value: ir.Value) -> ir.Value:
        """The upper halves of float32 values, rounded to the nearest, ties to even."""
        build, bits = self._build, self._build.bitcast(value, self._bits)
        odd = build.and_(build.lshr(bits, self._number(16)), self._number(1))
        near = build.lshr(build.add(build.add(bits, self._number(0x7FFF)), odd), self._number(16))
        none = build.lshr(build.or_(bits, self._number(1 << 22)), self._number(16))
        chosen = build.select(build.fcmp_unordered("uno", value, value), none, near)
        return build.trunc(chosen, self._halves)

    def _number(self, value: int) -> ir.Value:
        return ir.Constant(self._bits, [value] * self.lanes)

    def increase(self, pointer: ir.Value, place: Index, value: ir.Value) -> None:
        """Adds to a vector in memory."""
        self.store(self.plus(self.load(pointer, place), value), pointer, place)

    def fetch(self, pointer: ir.Value, place: Index, half: bool = False) -> None:
        """Asks for memory that is read soon; it need not be anyone's."""
        fetch = self._intrinsic("llvm.prefetch.p0", ir.VoidType(), [_POINTER, _WORD, _WORD, _WORD])
        self._build.call(fetch, [self._at(pointer, place, half), *(ir.Constant(_WORD, part) for part in (0, 3, 1))])

    def below(self, count: Index) -> ir.Value:
        """The lanes before `count`, marked."""
        numbers = ir.Constant(ir.VectorType(_INDEX, self.lanes), [*range(self.lanes)])
        empty = ir.Constant(numbers.type, ir.Undefined)
        single = self._build.insert_element(empty, _value(count), ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self._build.icmp_signed("<", numbers, self._build.shuffle_vector(single, empty, zeros))

    def constant(self, value: float) -> ir.Value:
        """A vector of it."""
        return ir.Constant(self._vector, [value] * self.lanes)

    def plus(self, left: ir.Value, right: ir.Value) -> ir.Value:
        """The sum of vectors."""
        return self._build.fadd(left, right)

    def times_plus(self, left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
        """A product plus `total`, in one operation where the processor has it."""
        name = f"llvm.fmuladd.v{self.lanes}f32"
        return self._build.call(self._intrinsic(name, self._vector, [self._vector] * 3), [left, right, total])

    def clamped(self, value: ir.Value, bounds: Bounds) -> ir.Value:
        """An activation: no lane beyond the bounds; what is no number stays so."""
        for bound, sign in zip(bounds, "<>", strict=True):
            if bound is not None:
                limit = self.constant(bound)
                value = self._build.select(self._build.fcmp_ordered(sign, value, limit), limit, value)
        return value

    def passed(self, gradient: ir.Value, activated: ir.Value, bounds: Bounds) -> ir.Value:
        """The gradient behind an activation where it is strictly between its bounds, else zero, as torch has it."""
        for bound, sign in zip(bounds, ("<=", ">="), strict=True):
            if bound is not None:
                stopped = self._build.fcmp_ordered(sign, activated, self.constant(bound))
                gradient = self._build.select(stopped, self.constant(0.0), gradient)
        return gradient

    @contextmanager
    def sums(self, count: int) -> Iterator[list[ir.Value]]:
        """Vectors that a loop adds to, zero at first; they live in registers as far as there are any."""
        with self._build.goto_block(self._entry):
            places = [self._build.alloca(self._vector) for _ in range(count)]
        for place in places:
            self._build.store(self.constant(0.0), place)
        yield places

    def read(self, place: ir.Value) -> ir.Value:
        """One of `sums`."""
        return self._build.load(place, typ=self._vector)

    def write(self, value: ir.Value, place: ir.Value) -> None:
        """Sets one of `sums`."""
        self._build.store(value, place)

    def divide(self, left: Index, right: Index) -> Index:
        """The quotient, rounded down; neither is negative."""
        return self._build.udiv(_value(left), _value(right))

    def remainder(self, left: Index, right: Index) -> Index:
        """What is left of that division."""
        return self._build.urem(_value(left), _value(right))

    def own_part(self, name: str, values: int) -> None:
        """Moves a pointer on by so many values for each thread before this."""
        self.arguments[name] = self._at(self.arguments[name], self.mul(self["thread"], values))

    def compiled(self) -> "Kernel":
        """The function, ready to be run."""
        self._build.ret_void()
        self._build.position_at_end(self._entry)
        self._build.branch(self._first)
        self._part()
        _openmp()
        module = llvm.parse_assembly(str(self._module))
        module.verify()
        machine = _machine()
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
        passes = llvm.create_pass_builder(machine, options)
        passes.getModulePassManager().run(module, passes)
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
        return Kernel(engine, len(self._function.args) - len(_NUMBERS))

    def _part(self) -> None:
        """What OpenMP runs, given a table of all arguments but the numbers of a thread and of threads."""
        whole = ir.Function(self._module, ir.FunctionType(ir.VoidType(), [_POINTER]), name="part")
        build = ir.IRBuilder(whole.append_basic_block())
        arguments = []
        for place, argument in enumerate(self._function.args[: -len(_NUMBERS)]):
            at = build.gep(whole.args[0], [_value(place)], source_etype=_INDEX)
            arguments.append(build.load(at, align=8, typ=argument.type))
        for name in _NUMBERS:
            number = ir.Function(self._module, ir.FunctionType(ir.IntType(32), []), name=f"lookalike_{name}")
            arguments.append(build.zext(build.call(number, []), _INDEX))
        build.call(self._function, arguments)
        build.ret_void()

    def _at(self, pointer: ir.Value, place: Index, half: bool = False) -> ir.Value:
        return self._build.gep(pointer, [_value(place)], source_etype=_HALF if half else _FLOAT)

    def _intrinsic(self, name: str, result: ir.Type, kinds: list[ir.Type]) -> ir.Function:
        return self._module.globals.get(name) or ir.Function(self._module, ir.FunctionType(result, kinds), name=name)


def _value(number: Index) -> ir.Value:
    return ir.Constant(_INDEX, number) if isinstance(number, int) else number
