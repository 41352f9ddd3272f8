"""Looks at pages of bailey report in headless Chromium, by WebDriver (W3C) and the standard library alone.

look_at_report.py FOLDER: run.html is of the scripted host's five assignments, evil.html of a trace that means harm."""
import base64
import json
import re
import subprocess
import sys
import urllib.request

folder = sys.argv[1]


class Browser:
    """One window; each method is a command of WebDriver."""

    def __init__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            port = re.search(r"started successfully on port (\d+)", line)
            if port:
                break
        self.base = "http://127.0.0.1:%s/session" % port.group(1)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000", "--user-data-dir=" + folder + "/chromium",
                     "--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", "--disable-dev-shm-usage"]
        wanted = {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}}
        self.base += "/" + self.ask("POST", "", {"capabilities": wanted})["sessionId"]

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, name):
        self.ask("POST", "/url", {"url": "file://%s/%s" % (folder, name)})

    def run(self, script, *arguments):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, xpath):
        found = self.ask("POST", "/elements", {"using": "xpath", "value": xpath})
        assert found, "the page has nothing that is " + xpath
        return list(found[0].values())[0]

    def click(self, xpath):
        element = self.find(xpath)
        self.run("arguments[0].scrollIntoView({block: 'center'})", {"element-6066-11e4-a52e-4f735466cecf": element})
        self.ask("POST", "/element/%s/click" % element, {})
        return element

    def text(self, css):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(n => n.textContent).join('\\n')", css)

    def count(self, css):
        return self.run("return document.querySelectorAll(arguments[0]).length", css)

    def complaints(self):
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})]

    def quit(self):
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()


def holds(what, fact):
    if not fact:
        raise SystemExit("FAIL: " + what)


def look(browser):
    browser.open("run.html")
    holds("the chart has columns for guest, host, RMM and device",
          {"Realm 1", "Host", "RMM", "nic"} <= set(browser.text(".lane").split("\n")))
    holds("only the first rows are drawn", browser.count(".row") == 400)

    lock = "//button[contains(@class,'row')][contains(.,'LOCK_INTERFACE_REQUEST')]"
    browser.click(lock)
    holds("a click shows the fields of a message", "default_stream_id" in browser.text(".fields"))
    holds("... and its time", "ms" in browser.text(".fields"))
    browser.click(lock)
    holds("a second click hides them", browser.count(".fields") == 0)

    before = browser.count(".row.message")
    holds("there are messages", before > 20)
    browser.click("//button[@data-kind='message']")
    holds("a button hides the messages", browser.count(".row.message") == 0)
    browser.click("//button[@data-kind='message']")
    holds("... and shows them again", browser.count(".row.message") == before)
    browser.click("//button[contains(@class,'more')]")
    holds("there are more rows to be had", browser.count(".row") > 400)

    field = browser.find("//input[@type='search']")
    browser.ask("POST", "/element/%s/value" % field, {"text": "start_interface"})
    holds("the search finds each start of the device", browser.count(".row") == 5)
    browser.ask("POST", "/element/%s/clear" % field, {})

    holds("states have a timeline", browser.count("#states rect.span") > 20)
    browser.click("//*[@id='states']//*[name()='rect'][*[name()='title'][starts-with(.,'RUN,')]]")
    holds("a click tells how long a state was", "nic TDI: RUN from" in browser.text("#states .detail"))
    browser.click("//*[@id='states']//button[.='guest time']")
    holds("the timeline is there by guest time, too", browser.count("#states rect.span") > 20)

    drawn = "const c = document.querySelector('canvas'); return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)"
    holds("the map of granules is drawn", browser.run(drawn))
    browser.run("const s = document.querySelector('#granules input'); s.value = 0; s.dispatchEvent(new Event('input'))")
    first = browser.text("#granules .mono")
    browser.run("const s = document.querySelector('#granules input'); s.value = s.max; s.dispatchEvent(new Event('input'))")
    holds("the slider changes its moment", browser.text("#granules .mono") != first)
    holds("all states are in the legends", "PDEV" in browser.text("#granules .legend") and "LOCKED" in browser.text("#states .legend"))
    browser.click("//canvas")
    holds("a click on the map tells where that is", re.match("0x[0-9a-f]+000: .", browser.text("#granules .detail")))
    holds("exits are there by reason", "HOST_CALL" in browser.text("#exits"))
    holds("calls are counted", "RMI_VDEV_START" in browser.text("#calls"))
    holds("time is shared out", "CPU 0: Realm 1" in browser.text("#time"))
    holds("... by exception level, too", "CPU 0 realm: EL1" in browser.text("#time"))
    printed = base64.b64decode(browser.ask("POST", "/print", {}))
    holds("it can be printed", printed.startswith(b"%PDF") and len(printed) > 20000)
    holds("nothing was refused or went wrong: %s" % browser.complaints(), browser.complaints() == [])

    browser.open("evil.html")
    browser.click("//button[contains(@class,'row')]")
    holds("text of a trace is shown as text", "document.title='harmed'" in browser.text(".row"))
    holds("... and its fields, too", "<b>bold</b>" in browser.text(".fields"))
    holds("nothing of a trace runs", browser.run("return document.title") == "Bailey report")
    holds("nothing of a trace is markup", browser.count("main img, main b:not(.fact b), main script") == 0)
    holds("the odd page has no error: %s" % browser.complaints(), browser.complaints() == [])


browser = Browser()
try:
    look(browser)
finally:
    browser.quit()
print("report: the page was looked at, clicked, searched and printed")
