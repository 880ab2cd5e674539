"""Source code: one document a file, its path and programming language in meta."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from openseek.data.sources.chapters import Chapter, Unreadable, documents_only, plain_text, to_items, whole
from openseek.data.sources.record import Bad, Item, Limits, Skipped
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

# Endings that mean source code wherever they are met, by language; names are GitHub's.
LANGUAGES: dict[str, tuple[str, ...]] = {
    "Ada": (".adb", ".ads"),
    "Assembly": (".asm", ".s"),
    "Batchfile": (".bat", ".cmd"),
    "C": (".c", ".h"),
    "C#": (".cs",),
    "C++": (".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx"),
    "CMake": (".cmake", "cmakelists.txt"),
    "Clojure": (".clj", ".cljs"),
    "Common Lisp": (".lisp", ".cl"),
    "Cuda": (".cu", ".cuh"),
    "D": (".d",),
    "Dart": (".dart",),
    "Dockerfile": (".dockerfile", "dockerfile"),
    "Elixir": (".ex", ".exs"),
    "Elm": (".elm",),
    "Emacs Lisp": (".el",),
    "Erlang": (".erl", ".hrl"),
    "F#": (".fs", ".fsx"),
    "Fortran": (".f", ".f90", ".f95", ".f03", ".for"),
    "Go": (".go",),
    "Groovy": (".groovy", ".gradle"),
    "HCL": (".tf", ".hcl"),
    "Haskell": (".hs",),
    "Idris": (".idr",),
    "Isabelle": (".thy",),
    "Java": (".java",),
    "JavaScript": (".js", ".mjs", ".cjs", ".jsx"),
    "Julia": (".jl",),
    "Kotlin": (".kt", ".kts"),
    "Lean": (".lean",),
    "Lua": (".lua",),
    "Makefile": (".mk", "makefile"),
    "Mathematica": (".wl",),
    "OCaml": (".ml", ".mli"),
    "Pascal": (".pas", ".pp"),
    "Perl": (".pl", ".pm"),
    "PHP": (".php",),
    "PowerShell": (".ps1", ".psm1"),
    "Prolog": (".pro",),
    "Protocol Buffer": (".proto",),
    "Python": (".py", ".pyi", ".pyx"),
    "R": (".r",),
    "Racket": (".rkt",),
    "Ruby": (".rb", "rakefile", "gemfile"),
    "Rust": (".rs",),
    "SQL": (".sql",),
    "Scala": (".scala", ".sc"),
    "Scheme": (".scm",),
    "Shell": (".sh", ".bash", ".zsh"),
    "Solidity": (".sol",),
    "Standard ML": (".sml",),
    "Swift": (".swift",),
    "SystemVerilog": (".sv", ".svh"),
    "Tcl": (".tcl",),
    "TypeScript": (".ts", ".tsx"),
    "VHDL": (".vhd", ".vhdl"),
    "Verilog": (".v",),
    "Visual Basic": (".vb", ".bas"),
    "Zig": (".zig",),
}
# Endings that other readers take unless the source says that it is code.
IN_CODE: dict[str, tuple[str, ...]] = {
    "CSS": (".css", ".scss", ".sass", ".less"),
    "HTML": (".html", ".htm", ".xhtml"),
    "INI": (".ini", ".cfg"),
    "JSON": (".json",),
    "Jupyter Notebook": (".ipynb",),
    "Markdown": (".md", ".markdown"),
    "TOML": (".toml",),
    "TeX": (".tex", ".sty", ".cls"),
    "Text": (".txt", ".rst"),
    "Vue": (".vue",),
    "XML": (".xml", ".xsd", ".svg"),
    "YAML": (".yaml", ".yml"),
}
ENDINGS = tuple(ending for endings in LANGUAGES.values() for ending in endings)
# A line of code is short; generated bundles put a whole program on one.
LONGEST_LINE = 100_000
MEAN_LINE = 1_000


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The document of a source file. Position: 0. Dropped: files of no known language, binary and minified ones."""
    documents_only(path, source, "code")
    language = language_of(path.name)
    if not language:
        yield Skipped(0, "unknown_language", detail=path.name)
        return
    try:
        data = whole(path, limits)
        text = plain_text(data)
    except Unreadable as error:
        large = path.size > limits.record_bytes
        yield Bad(0, error.reason, error.head) if large else Skipped(0, "binary", detail=error.reason)
        return
    lines = text.split("\n")
    longest, mean = max(map(len, lines)), len(text) / len([line for line in lines if line.strip()] or lines)
    if longest > LONGEST_LINE or mean > MEAN_LINE:
        told = (longest, LONGEST_LINE, "longest line") if longest > LONGEST_LINE else (mean, MEAN_LINE, "mean line")
        yield Skipped(0, "minified", *told)
        return
    meta = {"path": path.relative, "language": language}
    yield from to_items([Chapter(text, meta)], source, limits)


def language_of(name: str) -> str:
    """The programming language of a file by its name; "" for one that the tables do not know."""
    name = name.lower()
    for language, endings in (*LANGUAGES.items(), *IN_CODE.items()):
        if name.endswith(endings):
            return language
    return ""
