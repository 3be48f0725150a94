"""The frontend's modules keep to the forms that let them be joined into one file, and never turn text into markup."""

import re

import pytest

from privacy_callbacks.privacy_page.module_bundle import in_order, taken_apart
from privacy_callbacks.privacy_page.one_file import one_file_page
from privacy_callbacks.privacy_page.page_files import PAGE_FILES, STATIC

MODULES = [name for name in PAGE_FILES if name.endswith(".js")]
SHEETS = [name for name in PAGE_FILES if name.endswith(".css")]
ENTRIES = {"index.js": "render", "one_file.js": "startOneFile"}
MARKUP = (
    r"\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write|\beval\s*\(|new Function\b|DOMParser|createContextualFragment|"
    r"srcdoc|javascript:"
)
STYLE_BY_STRING = r"""setAttribute\(\s*["']style["']|["']style["']\s*:|[{,]\s*style\s*:|cssText"""
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
# What may stand at the left edge of a module, where everything runs on import: declarations, comments, ends.
LEFT_EDGE = r"import |export |(async )?function\b|const |let |class |//|/\*|[}\])`]|$|\s"


def text_of(name):
    return (STATIC / name).read_text("utf-8")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_the_forms_that_can_be_joined(name):
    module = taken_apart(name, text_of(name))
    assert len(set(module.declared)) == len(module.declared)
    assert module.exports
    for other, names in module.imports:
        assert set(names) <= taken_apart(other, text_of(other)).exports


@pytest.mark.parametrize("name", MODULES)
def test_a_module_does_nothing_when_it_is_imported(name):
    for number, line in enumerate(text_of(name).split("\n"), start=1):
        assert re.match(LEFT_EDGE, line), f"{name}, line {number} runs on import: {line}"
        assert not re.match(r"(export )?(const|let) .*\bawait\b", line), f"{name}, line {number} waits on import"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_never_turns_text_into_markup_or_code(name):
    found = re.findall(MARKUP, text_of(name))
    assert not found
    assert not re.findall(STYLE_BY_STRING, text_of(name)), (
        "a style as a string is refused by the one-file page's policy"
    )


@pytest.mark.parametrize("name", [*MODULES, *SHEETS])
def test_a_file_names_no_other_machine_and_stays_short(name):
    text = text_of(name)
    addresses = set(re.findall(r"\b\w+://[^\s\"'`)]*", text)) - {SVG_NAMESPACE}
    assert not addresses
    assert not re.search(r"""["'(]//\w""", text)
    if name in MODULES:
        assert text.count("\n") <= 300


@pytest.mark.parametrize("name", SHEETS)
def test_a_style_sheet_loads_nothing(name):
    assert not re.search(r"@import|url\(|</", text_of(name), re.IGNORECASE)


def test_every_top_level_name_is_unique_over_all_modules():
    homes = {}
    for name in MODULES:
        for declared in taken_apart(name, text_of(name)).declared:
            assert declared not in homes, f"{declared} is declared in {homes.get(declared)} and in {name}"
            homes[declared] = name


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_reaches_every_module_that_the_other_one_does_but_its_own_door(entry):
    modules = {module.name: module for module in in_order(text_of, entry)}
    assert ENTRIES[entry] in modules[entry].exports
    doors = {"index.js", "http_source.js", "host.js", "one_file.js", "embedded_source.js"}
    assert set(MODULES) - set(modules) <= doors, "a module that no entry imports"


def test_the_real_page_can_be_made():
    page = one_file_page({"overview": {}, "details": {}, "records": {}}, "title")
    assert "startOneFile();" in page
    assert (
        "export " not in re.search(r'<script type="module">(.*)</script>', page, re.DOTALL)[1].split("startOneFile")[0]
    )
