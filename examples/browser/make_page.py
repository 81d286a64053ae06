"""Makes one page of an exported network, which computes in the browser.

    depthseg export small --format onnx --precision float16
    npm install onnxruntime-web@1.30.0
    python make_page.py small_float16.onnx node_modules/onnxruntime-web page.html

Open page.html: no server is needed, and no picture leaves the browser.
"""

import base64
import gzip
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
RUNTIME = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


def main(network: str, runtime: str, page: str) -> None:
    """Write the page with network and runtime inside."""
    code, binary = (Path(runtime, "dist", name) for name in RUNTIME)
    parts = {"RUNTIME": code, "WASM": binary, "NETWORK": Path(network)}
    text = (FOLDER / "page.html").read_text("utf-8")
    for name, path in parts.items():
        packed = base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()
        text = text.replace(f"{{{{{name}}}}}", packed)
    Path(page).write_text(text, "utf-8")
    print(f"{page}: {len(text) / 1e6:.0f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
