"""The command line writes pages."""

import subprocess
import sys
from html import escape

from vimerge.cli import main


def test_report_puts_folders_on_a_page_which_is_the_same_every_time(results, page, tmp_path):
    again = tmp_path / "new" / "page.html"
    folders = [str(results / name) for name in ("evans", "plain")]
    assert main(["report", *folders, "-o", str(again)]) == 0
    assert again.read_bytes() == page.read_bytes()


def test_names_are_taken_literally_and_shells_can_be_chosen(results, tmp_path):
    page, names = tmp_path / "page.html", ["_a$x$ & <b>", "結晶 {0}"]
    folders = [str(results / name) for name in ("evans", "plain")]
    assert main(["report", *folders, "-o", str(page), "--names", ", ".join(names), "--shells", "3"]) == 0
    text = page.read_text(encoding="utf-8")
    assert f"<title>{escape(', '.join(names))} – vimerge</title>" in text
    # In cards, tables and the legends of figures.
    assert all(text.count(escape(name)) > 15 for name in names)
    # By shell: three and one over all.
    table = text[text.index(": by shell</summary>") :]
    assert table[: table.index("</table>")].count("<tr>") == 1 + 3 + 1


def test_a_folder_that_is_none_ends_in_one_sentence(tmp_path, capsys):
    assert main(["report", str(tmp_path / "nowhere"), "-o", str(tmp_path / "page.html")]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_a_conventional_merge_writes_its_report(observations, tmp_path):
    command = ["conventional", str(observations), "--absorption", "0", "--cycles", "1", "--quiet"]
    assert main([*command, "-o", str(tmp_path / "with")]) == 0
    assert main([*command, "-o", str(tmp_path / "without"), "--no-report"]) == 0
    assert (tmp_path / "with" / "report.html").exists()
    assert not (tmp_path / "without" / "report.html").exists()


def test_a_report_does_without_tensorflow():
    code = "import sys, vimerge.report.html; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
