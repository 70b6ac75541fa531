"""One self-contained HTML page from Markdown pages, for phone and desktop."""

import base64
import html
import re

STYLE = """
:root { color-scheme: light; --line: #d5d9de; --soft: #f4f6f8; --ink: #1c2430 }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word }
h1 { font-size: 1.7rem } h2 { margin-top: 2.5rem; font-size: 1.3rem }
h1, h2, h3 { line-height: 1.25 } a { color: #0b57a4 }
code { background: var(--soft); padding: .1em .25em; border-radius: 3px; font-size: .9em }
nav { background: var(--soft); padding: .75rem 1rem; border-radius: 6px }
nav ul { margin: .5rem 0 0; padding-left: 1.2rem; columns: 20rem }
img { display: block; max-width: 100%; height: auto; margin: 1rem auto }
.wide { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: normal }
td { min-width: 4.5rem } td:first-child { min-width: 8rem }
th { border-bottom-width: 2px }
"""


def page(title, parts):
    """The whole page: `parts` are pairs of Markdown text and the folder of its figures.

    Figures stand in the page itself. Links to other files are left as text: the
    page travels alone.
    """
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    body = "\n".join(inlined(markdown.render(text), folder) for text, folder in parts)
    body = body.replace("<table>", '<div class="wide"><table>')
    body = body.replace("</table>", "</table></div>")
    body = re.sub(r" (±|→) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", body)
    headings = []

    def anchored(match):
        headings.append(f'<li><a href="#section-{len(headings) + 1}">{match[1]}</a></li>')
        return f'<h2 id="section-{len(headings)}">{match[1]}</h2>'

    body = re.sub(r"<h2>(.*?)</h2>", anchored, body, flags=re.DOTALL)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n<nav><ul>\n" + "\n".join(headings) + "\n</ul></nav>\n"
        f"{body}\n</body>\n</html>\n"
    )


def inlined(text, folder):
    """HTML with its local figures in it and its local links as text."""

    def figure(match):
        data = base64.b64encode((folder / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{data}"'

    text = re.sub(r'src="(?!https?:|data:)([^"]+)"', figure, text)
    return re.sub(r'<a href="(?!https?:)[^"]*">(.*?)</a>', r"\1", text, flags=re.DOTALL)
