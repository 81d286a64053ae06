"""Values in pages are shown as they are, whatever they hold."""

import pytest

from keras_depthseg.pages.html_page import write_page

TEMPLATE = (
    '<p title="{{ name }}">{{ name }}</p>{{ svg | safe }}'
    "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}{{ b(name) }}{{ 3 }}"
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ('" onload="alert(1)', "&#34; onload=&#34;alert(1)"),
        ("</p><script>x</script>", "&lt;/p&gt;&lt;script&gt;x&lt;/script&gt;"),
        ("photo\u202egnp.exe", "photo\\u202egnp.exe"),
        ("\x1b[31mred\x07\x00", "\\x1b[31mred\\x07\\x00"),
        ("\u2066isolated\u200b", "\\u2066isolated\\u200b"),
        ("Stühle 椅子 🪑\ntwo lines", "Stühle 椅子 🪑\ntwo lines"),
    ],
)
def test_names(tmp_path, name, shown):
    (tmp_path / "a.jinja").write_text(TEMPLATE)
    write_page(
        tmp_path / "a.html", tmp_path / "a.jinja", {"name": name, "svg": "<svg\r/>"}
    )
    with (tmp_path / "a.html").open(encoding="utf-8", newline="") as file:
        text = file.read()
    assert text == f'<p title="{shown}">{shown}</p><svg\r/><b>{shown}</b>3'
