//! The page of a run in a real browser: nothing on its console, everything to be seen and inside its picture, in the
//! light and in the dark, on a wide and on a narrow window. Without a browser the tests say so and pass.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, fixture, skipped};

/// Measures the page when it is there and writes what it finds into the title.
const PROBE: &str = r#"<script>
addEventListener('load', () => {
  const problems = [];
  const name = e => e.tagName.toLowerCase() + ' ' + e.textContent.slice(0, 30);
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) problems.push('the page is ' + root.scrollWidth + ' wide');
  document.querySelectorAll('details').forEach(e => e.open = true);
  for (const e of document.querySelectorAll('h1,h2,h3,p,svg,image,table,pre,.tile')) {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (box.width < 1 || box.height < 1 || style.visibility !== 'visible') problems.push(name(e) + ' is not seen');
  }
  let texts = 0;
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    const boxes = [];
    for (const e of svg.querySelectorAll('text')) {
      const box = e.getBoundingClientRect();
      texts += 1;
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        problems.push(name(e) + ' leaves its picture');
      for (const [other, of] of boxes)
        if (Math.min(box.right, of.right) - Math.max(box.left, of.left) > 3 && Math.min(box.bottom, of.bottom) - Math.max(box.top, of.top) > 4)
          problems.push(name(e) + ' covers ' + name(other));
      boxes.push([e, box]);
    }
  }
  const style = getComputedStyle(document.body);
  document.title = JSON.stringify({
    problems, texts,
    sections: [...document.querySelectorAll('h2')].map(e => e.textContent),
    pictures: document.querySelectorAll('svg').length,
    paper: style.backgroundColor, ink: style.color,
    label: getComputedStyle(document.querySelector('svg text')).fill,
  });
});
</script>"#;

/// The command of a browser, if there is one.
fn browser() -> Option<String> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let answers = |name: &&str| {
        let ran = Command::new(name).arg("--version").output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    let found = names.into_iter().find(answers).map(str::to_string);
    if found.is_none() {
        skipped(&format!("there is no browser ({})", names.join(", ")));
    }
    found
}

/// What the probe found on a page.
fn look(browser: &str, place: &Place, page: &Path, width: u32, dark: bool) -> Value {
    let profile = tempfile::tempdir_in(place.path("")).expect("a folder");
    let ran = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},900"))
        // 0 is dark, 1 is light.
        .arg(format!(
            "--blink-settings=preferredColorScheme={}",
            u8::from(!dark)
        ))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    let console: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert_eq!(console, [""; 0], "on the console");
    let dom = String::from_utf8_lossy(&ran.stdout).into_owned();
    let title = dom
        .split("<title>")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next());
    let title = title.unwrap_or_else(|| panic!("no title in {} bytes\n{said}", dom.len()));
    serde_json::from_str(title).unwrap_or_else(|error| panic!("{error}: {title}"))
}

/// The sum of red, green and blue of `rgb(1, 2, 3)`.
fn brightness(color: &Value) -> u32 {
    let text = color.as_str().expect("a colour");
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|n| n.parse::<u32>().ok()).take(3).sum()
}

/// Looks at the page of a run folder in every way, and expects these sections.
fn assert_page(browser: &str, place: &Place, run: &str, sections: &[&str]) {
    let page = place.text(&format!("{run}/report.html"));
    let probed = place.path("probed.html");
    std::fs::write(&probed, page.replace("</body>", &format!("{PROBE}</body>"))).expect("written");
    for (width, dark) in [(1200, false), (1200, true), (500, false)] {
        let found = look(browser, place, &probed, width, dark);
        assert_eq!(found["problems"], serde_json::json!([]), "{width} {dark}");
        assert_eq!(found["sections"], serde_json::json!(sections));
        assert!(found["pictures"].as_u64() >= Some(5) && found["texts"].as_u64() > Some(50));
        let [paper, ink, label] = ["paper", "ink", "label"].map(|key| brightness(&found[key]));
        assert_eq!(dark, paper < 150, "{found}");
        assert!(
            paper.abs_diff(ink) > 450 && paper.abs_diff(label) > 450,
            "{found}"
        );
    }
}

#[test]
fn the_page_of_a_run_is_whole_in_a_browser() {
    let Some(browser) = browser() else { return };
    let place = Place::new();
    place.ok(&["train", &fixture("tiny.snn"), "--out", "run", "--quiet"]);
    let sections = [
        "Learning",
        "Confusion",
        "Firing rates",
        "Samples",
        "Weights and time constants",
        "Surrogates",
        "Program",
    ];
    assert_page(&browser, &place, "run", &sections);
}

#[test]
fn the_page_of_a_task_without_classes_is_whole_in_a_browser() {
    let Some(browser) = browser() else { return };
    let place = Place::new();
    place.file("one.snn", crate::classless::PROGRAM);
    place.ok(&["train", "one.snn", "--out", "run", "--quiet"]);
    let page = place.text("run/report.html");
    assert!(
        page.contains("<h3>Sample 0</h3>"),
        "no label, no prediction"
    );
    assert!(page.contains(">6 target spikes<"), "3 of each of 2 units");
    let sections = [
        "Learning",
        "Firing rates",
        "Samples",
        "Weights and time constants",
        "Surrogates",
        "Program",
    ];
    assert_page(&browser, &place, "run", &sections);
}
