"""The page in a real browser, where one is installed: no request to anywhere, no error, nothing wider than the window."""

import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from snncompress_report.html import Html

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium is installed: the page is not opened in a browser"),
]
PROBE = """
<iframe src="/report.html" style="width: 360px; height: 700px"></iframe>
<pre id="found"></pre>
<script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const heads = [...page.querySelectorAll("#layers thead button")];
  heads[0]?.click();
  const first = page.querySelector("#layers tbody th").textContent.split(" ")[0];
  found.textContent = [page.documentElement.scrollWidth, heads.length, first].join(" ");
};
</script>
"""

BROKEN = '<img src="http://elsewhere.test/picture.png"><link rel="icon" href="data:,"><script>nonsense()</script>'


@pytest.fixture
def visits(record):
    """Serve the page as a proxy for every address, and keep what is asked for."""
    pages = {"/report.html": Html().render(record), "/probe.html": PROBE, "/broken.html": BROKEN}
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = re.sub("^http://report.test", "", self.path)
            seen.append(path)
            body = pages.get(path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def do_CONNECT(self):
            seen.append(self.path)
            self.send_error(403)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], seen
    server.shutdown()
    thread.join()
    server.server_close()


def opened(port, path, folder):
    """Return the document as the browser has it in the end, and what it said on its console."""
    browser = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--no-first-run"]
    quiet = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
    ]
    server = [f"--proxy-server=http://127.0.0.1:{port}", "--virtual-time-budget=5000"]
    done = subprocess.run(
        [*browser, *quiet, *server, "--dump-dom", f"http://report.test{path}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def own(seen):
    """Leave out what a browser asks its maker for by itself."""
    return [path for path in seen if not re.search(r"google(apis)?\.com|gvt1\.com|gstatic\.com", path)]


def test_the_page_asks_nobody_for_anything_and_reports_no_error(visits, tmp_path):
    port, seen = visits
    document, console = opened(port, "/report.html", tmp_path)
    assert own(seen) == ["/report.html"]
    assert console == []
    assert "<h1>tiny</h1>" in document


def test_the_page_fits_a_phone_and_its_layers_can_be_sorted(visits, tmp_path):
    port, _ = visits
    document, console = opened(port, "/probe.html", tmp_path)
    width, heads, first = re.search(r'<pre id="found">(.*?)</pre>', document)[1].split(" ", 2)
    assert int(width) <= 360
    assert int(heads) == 8
    assert first == "stem.conv"  # clicked once, a column of names goes from Z to A
    assert console == []


def test_a_request_and_an_error_would_have_been_seen(visits, tmp_path):
    port, seen = visits
    _, console = opened(port, "/broken.html", tmp_path)
    assert {"/broken.html", "http://elsewhere.test/picture.png"} <= set(own(seen))
    assert any("nonsense is not defined" in line for line in console)
