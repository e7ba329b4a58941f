"""Shows HTML files in a headless Chromium and prints as JSON what a person would see there.

usage: browser.py CHROMIUM PROFILE < LIST, where each line of LIST is: HTML SCHEME WIDTH PICTURE (tab-separated)

Talks to the browser over the pipe of the Chrome DevTools Protocol: one JSON message, then a zero byte. The only scripts
that run are ours: mails have none.
"""

import base64, json, os, subprocess, sys

# Contrast as in WCAG 2.2 (relative luminance), for each element that has text of its own.
MEASURE = r"""(() => {
  const channels = colour => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const background = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
  };
  const elements = [...document.body.querySelectorAll('*')];
  const texts = elements.filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  const contrast = Math.min(...texts.map(e => {
    const pair = [luminance(channels(getComputedStyle(e).color)), luminance(background(e))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
  const code = document.querySelector('.code');
  const box = code && code.getBoundingClientRect();
  let copied = null;
  if (code) { getSelection().selectAllChildren(code); copied = getSelection().toString(); getSelection().removeAllRanges(); }
  return {
    width: document.scrollingElement.scrollWidth,
    height: document.scrollingElement.scrollHeight,
    beyond: elements.filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.tagName),
    contrast, copied,
    code_size: code && parseFloat(getComputedStyle(code).fontSize),
    code_fits: !code || code.scrollWidth <= code.clientWidth,
    dark: luminance(background(document.body)) < 0.2,
    text: document.body.innerText,
    fetched: performance.getEntriesByType('resource').map(e => e.name),
  };
})()"""


class Browser:
    def __init__(self, program, profile):
        ours, theirs = os.pipe(), os.pipe()  # we read ours[0]; the browser reads theirs[0]
        for fd in (ours[1], theirs[0]):
            os.set_inheritable(fd, True)
        # The browser's own ends are 3 and 4.
        shell = f'exec 3<&{theirs[0]} 4>&{ours[1]}; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "bash", program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--remote-debugging-pipe", "--disable-background-networking", f"--user-data-dir={profile}", "about:blank"],
            close_fds=False, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": profile})
        for fd in (ours[1], theirs[0]):
            os.close(fd)
        self.reads, self.writes = os.fdopen(ours[0], "rb"), os.fdopen(theirs[1], "wb")
        self.number, self.rest, self.session = 0, b"", None
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        target = pages[0]["targetId"] if pages else self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def receive(self):
        while b"\0" not in self.rest:
            more = self.reads.read1(1 << 16)
            if not more:
                raise EOFError("the browser has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.writes.write(json.dumps(message).encode() + b"\0")
        self.writes.flush()
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def show(self, path, scheme, width, picture):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=640, deviceScaleFactor=2, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=f"file://{path}")
        while self.receive().get("method") != "Page.loadEventFired":
            pass
        seen = self.call("Runtime.evaluate", expression=MEASURE, returnByValue=True)["result"]["value"]
        clip = {"x": 0, "y": 0, "width": width, "height": max(seen["height"], 100), "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        with open(picture, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
        return seen


browser = Browser(*sys.argv[1:3])
for line in sys.stdin:
    path, scheme, width, picture = line.rstrip("\n").split("\t")
    print(json.dumps(browser.show(path, scheme, int(width), picture)), flush=True)
try:
    browser.session = None
    browser.call("Browser.close")
except (EOFError, OSError):
    pass
browser.process.wait()
