"""The frontend's modules as one script: what is joined, in which order, and what is refused."""

import re

import pytest

from privacy_callbacks.privacy_page.module_bundle import bundled, taken_apart

TINY = {
    "one_file.js": """\
/** Starts. */
import { shown, GREETING } from "./view.js";
import { data } from "./data.js";

export function startOneFile() {
  document.body.append(shown(`${GREETING} ${data()}`));
}
""",
    "view.js": """\
import { data } from "./data.js";

export const GREETING = "hello";

export function shown(text) {
  return `${text}, ${data()}`;
}
""",
    "data.js": "export function data() {\n  return 1;\n}\n",
}


def reading(files):
    """Reads a module as from a folder."""

    def read(name):
        if name not in files:
            raise FileNotFoundError(name)
        return files[name]

    return read


def test_a_module_stands_after_those_it_imports_and_each_stands_once():
    joined = bundled(reading(TINY))
    assert [line for line in joined.split("\n") if line.startswith("// ")] == [
        "// data.js",
        "// view.js",
        "// one_file.js",
    ]
    assert not re.search(r"^(import|export)\b", joined, re.MULTILINE)
    assert 'const GREETING = "hello";' in joined
    assert joined.count("function data()") == 1


def test_a_module_is_taken_apart_into_names():
    module = taken_apart(
        "x.js",
        'import { a } from "./a.js";\n\nexport async function load() {\n  const inside = 1;\n}\nlet kept = 2;\n'
        "export class Shape {}\nexport const F = 3;\nfunction own() {}\n",
    )
    assert module.imports == (("a.js", ("a",)),)
    assert module.exports == {"load", "Shape", "F"}
    assert module.declared == ("load", "kept", "Shape", "F", "own")
    assert module.body.startswith("async function load() {\n  const inside = 1;\n")


@pytest.mark.parametrize(
    "line",
    [
        'import * as all from "./a.js";',
        'import a from "./a.js";',
        'import { a as b } from "./a.js";',
        'import { a } from "../a.js";',
        'import { a } from "https://example.org/a.js";',
        "import { a } from './a.js';",
        'import { a } from "./a.js"; // why',
        "import {",
        'import "./a.js";',
        'const a = await import("./a.js");',
        "const here = import.meta.url;",
    ],
)
def test_other_forms_of_import_are_refused_with_their_place(line):
    with pytest.raises(
        ValueError, match=r'x\.js, line 2: .* should be of the form `import \{ a, b \} from "\./x\.js";`'
    ):
        taken_apart("x.js", f"// first\n{line}\n")


@pytest.mark.parametrize(
    "line", ["export default function a() {}", "export { a };", 'export * from "./a.js";', "export let a = 1;"]
)
def test_other_forms_of_export_are_refused(line):
    with pytest.raises(ValueError, match=r"x\.js, line 1: .* should export a declaration"):
        taken_apart("x.js", f"{line}\n")


def test_an_import_below_a_declaration_is_refused():
    with pytest.raises(ValueError, match=r"line 2: an import after a declaration; move it to the top"):
        taken_apart("x.js", 'const b = 1;\nimport { a } from "./a.js";\n')


def test_a_declaration_of_several_names_at_once_is_refused():
    with pytest.raises(ValueError, match=r"line 1: .* should declare one name at a time"):
        taken_apart("x.js", "const { a, b } = c;\n")


def test_words_in_sentences_and_comments_are_no_imports():
    text = '// import { a } from "b"\n/**\n * import it\n */\nexport const HINT = "from privacy_callbacks import MIACallback";\n'
    assert taken_apart("x.js", text).exports == {"HINT"}


def test_names_that_two_modules_declare_are_refused():
    files = TINY | {"data.js": TINY["data.js"] + "const GREETING = 1;\n"}
    with pytest.raises(ValueError, match=r"'GREETING' is declared in data\.js and in view\.js"):
        bundled(reading(files))


def test_modules_that_import_each_other_are_refused():
    files = TINY | {"data.js": 'import { shown } from "./view.js";\n' + TINY["data.js"]}
    with pytest.raises(ValueError, match=r"in a circle: view\.js → data\.js → view\.js"):
        bundled(reading(files))


def test_names_that_are_not_exported_are_refused():
    files = TINY | {"data.js": TINY["data.js"].replace("export ", "")}
    with pytest.raises(ValueError, match=r"view\.js imports data from data\.js, which does not export it"):
        bundled(reading(files))


def test_a_missing_module_is_named():
    with pytest.raises(ValueError, match=r"view\.js needs data\.js, which is not there"):
        bundled(reading({name: text for name, text in TINY.items() if name != "data.js"}))
    with pytest.raises(ValueError, match=r"the page needs one_file\.js, which is not there"):
        bundled(reading({}))
