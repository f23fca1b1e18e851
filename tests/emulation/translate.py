#!/usr/bin/env python3
"""Turns a CUDA source into C++ for the emulator: launches, shared memory and kernel entries, nothing else.

usage: translate.py SOURCE NAME OUTPUT   (NAME is what compilers and sanitizers call the source)

  kernel<T><<<grid, block, bytes, stream>>>(a);   -> a queued closure that calls kernel<T>(a) once per thread
  __shared__ float part[32], most;                -> references into the block's shared memory
  extern __shared__ float space[];                -> an object that converts to the block's dynamic shared memory
  __global__ void kernel(...) {                   -> the same, telling the emulator its name first
Line numbers stay; what looks like none of these stays as it is.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import sys

BRACKETS = {"(": ")", "[": "]", "{": "}"}


class TranslationError(Exception):
    pass


def masked(text):
    """The text with comments and literals blanked, so that positions agree."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def closing(code, at):
    """The position of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(code)):
        if code[i] in BRACKETS:
            depth += 1
        elif code[i] in BRACKETS.values():
            depth -= 1
            if depth == 0:
                return i
    raise TranslationError(f"'{code[at]}' is not closed")


def line_of(code, at):
    return code.count("\n", 0, at) + 1


def parts(code, begin, end):
    """Positions (from, to) of what commas outside brackets separate. A '<' counts as a bracket: types, no comparisons."""
    found, depth, start = [], 0, begin
    for i in range(begin, end):
        if code[i] in "([{<":
            depth += 1
        elif code[i] in ")]}>":
            depth -= 1
        elif code[i] == "," and depth == 0:
            found.append((start, i))
            start = i + 1
    return found + [(start, end)]


def callee_begin(code, end):
    """Where the expression begins that ends at `end`: a name, perhaps with template arguments."""
    i = end
    while code[i - 1].isspace():
        i -= 1
    if code[i - 1] == ">":
        depth = 0
        while True:
            i -= 1
            depth += {">": 1, "<": -1}.get(code[i], 0)
            if depth == 0:
                break
    match = re.search(r"[A-Za-z_][\w:]*$", code[:i])
    if not match:
        raise TranslationError(f"line {line_of(code, end)}: no kernel before <<<")
    return match.start()


def launch_edits(code, text):
    for match in re.finditer(r"<<<", code):
        begin = callee_begin(code, match.start())
        shape_end = code.index(">>>", match.end())
        open_at = re.compile(r"\s*\(").match(code, shape_end + 3)
        if not open_at:
            raise TranslationError(f"line {line_of(code, shape_end)}: no arguments after >>>")
        close_at = closing(code, open_at.end() - 1)
        callee = text[begin:match.start()].rstrip()
        shape = parts(code, match.end(), shape_end)
        # Only a launch with dynamic shared memory needs to say which function it is: cudaFuncSetAttribute may have
        # allowed it more. (A template without its arguments has no address.)
        dynamic = len(shape) > 2 and text[slice(*shape[2])].strip() != "0"
        address = f"reinterpret_cast<const void*>({callee})" if dynamic else "nullptr"
        yield begin, shape_end + 3, (f"timetrial::emulation::launch(timetrial::emulation::launch_shape("
                                     f"{text[match.end():shape_end]}), {address}, [=] {{ {callee}")
        yield close_at + 1, close_at + 1, "; })"


def shared_edits(code, text):
    for match in re.finditer(r"\b(extern\s+)?__shared__\s+", code):
        end = code.index(";", match.end())
        declaration = re.compile(r"(.*?[\s>*])(\w+\s*(?:\[.*)?)$", re.S)
        pieces = parts(code, match.end(), end)
        first = declaration.match(text[slice(*pieces[0])])
        if not first:
            raise TranslationError(f"line {line_of(code, match.start())}: a declaration of shared memory that is not understood")
        kind = first.group(1).strip()
        declarators = [first.group(2)] + [text[slice(*piece)].strip() for piece in pieces[1:]]
        made = []
        for declarator in declarators:
            name, extents = re.match(r"(\w+)\s*(.*)$", declarator, re.S).groups()
            if match.group(1):
                made.append(f"[[maybe_unused]] static constexpr timetrial::emulation::DynamicShared<{kind}> {name}")
            else:
                made.append(f"struct SharedPlaceOf_{name} {{}}; "
                            f"auto& {name} = timetrial::emulation::static_shared<{kind}{extents}, SharedPlaceOf_{name}>()")
        yield match.start(), end, "; ".join(made)


def kernel_edits(code, file):
    for match in re.finditer(r"\b__global__\s+void\s+(\w+)\s*\(", code):
        body = re.compile(r"\s*\{").match(code, closing(code, match.end() - 1) + 1)
        if body:
            yield body.end(), body.end(), f' timetrial::emulation::enter_kernel("{file}: {match.group(1)}");'


def translate(text, name):
    code = masked(text)
    edits = sorted([*launch_edits(code, text), *shared_edits(code, text), *kernel_edits(code, pathlib.PurePath(name).name)])
    out, at = [], 0
    for begin, end, replacement in edits:
        if begin < at:
            raise TranslationError(f"line {line_of(code, begin)}: a launch inside another one's arguments")
        out += [text[at:begin], replacement]
        at = end
    out.append(text[at:])
    return f'#include "emulation/device_code.h"\n#line 1 "{name}"\n' + "".join(out)


def main():
    source, name, output = sys.argv[1:]
    try:
        made = translate(pathlib.Path(source).read_text(encoding="utf-8"), name)
    except TranslationError as error:
        sys.exit(f"{name}: {error}")
    target = pathlib.Path(output)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
