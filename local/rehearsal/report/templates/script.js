(function () {
  "use strict";
  var actions = Array.prototype.slice.call(document.querySelectorAll("details.action"));
  var search = document.getElementById("search");
  var hits = document.getElementById("hits");
  document.documentElement.classList.add("scripted");

  function each(action, query) {
    var found = 0;
    action.querySelectorAll("pre.log span").forEach(function (line) {
      var hit = query !== "" && line.textContent.toLowerCase().indexOf(query) >= 0;
      line.classList.toggle("hit", hit);
      line.classList.toggle("miss", query !== "" && !hit);
      found += hit ? 1 : 0;
    });
    action.querySelector(".count").textContent = found ? found + (found === 1 ? " line" : " lines") : "";
    if (query !== "") {
      action.open = found > 0;
    }
    return found;
  }

  function look() {
    var query = search.value.trim().toLowerCase();
    var lines = 0;
    var logs = 0;
    actions.forEach(function (action) {
      var found = each(action, query);
      lines += found;
      logs += found ? 1 : 0;
    });
    hits.textContent = query === "" ? "" : lines + (lines === 1 ? " line in " : " lines in ") + logs + (logs === 1 ? " log" : " logs");
  }

  var waiting = 0;
  search.addEventListener("input", function () {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(look, 120);
  });
  document.getElementById("open-all").addEventListener("click", function () {
    actions.forEach(function (action) { action.open = true; });
  });
  document.getElementById("close-all").addEventListener("click", function () {
    actions.forEach(function (action) { action.open = false; });
  });

  function follow() {
    var target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    if (target && target.matches("details")) {
      target.open = true;
      target.scrollIntoView();
      target.querySelector("summary").focus({ preventScroll: true });
    }
  }
  window.addEventListener("hashchange", follow);
  follow();

  // A report is unpacked when somebody opens it, into a frame that can do nothing to this page.
  function unpack(packed) {
    var bytes = Uint8Array.from(atob(packed), function (character) { return character.charCodeAt(0); });
    var stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }
  document.querySelectorAll("details.report").forEach(function (report) {
    report.addEventListener("toggle", function () {
      if (!report.open || report.querySelector("iframe")) {
        return;
      }
      unpack(document.getElementById(report.dataset.document).textContent).then(function (html) {
        var frame = document.createElement("iframe");
        frame.setAttribute("sandbox", "allow-scripts allow-popups");
        frame.title = report.dataset.title;
        frame.srcdoc = html;
        report.appendChild(frame);
      });
    });
  });
})();
