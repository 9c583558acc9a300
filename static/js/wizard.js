// A button that needs a choice is disabled until there is one. Without script the browser and the server say so.
(() => {
  "use strict";
  for (const button of document.querySelectorAll("[data-needs-choice]")) {
    const groups = new Set([...button.form.querySelectorAll("input[type=radio]")].map((radio) => radio.name));
    const fresh = () => {
      button.disabled =
        groups.size === 0 ||
        [...groups].some((name) => !button.form.querySelector(`input[name="${name}"]:checked:enabled`));
    };
    button.form.addEventListener("change", fresh);
    addEventListener("pageshow", fresh);
    fresh();
  }
  // A long list of choices shows those that have the typed words; the chosen one stays, so that nothing hidden is sent.
  for (const search of document.querySelectorAll("[data-filters]")) {
    const choices = [...document.getElementById(search.dataset.filters).querySelectorAll(".choice")];
    const narrow = () => {
      const words = search.value.toLowerCase().split(/\s+/);
      for (const choice of choices)
        choice.hidden =
          !choice.querySelector(":checked") &&
          !words.every((word) => choice.textContent.toLowerCase().includes(word));
    };
    search.addEventListener("input", narrow);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
    });
    addEventListener("pageshow", narrow);
  }
  // A hostname that was typed while its suggestion was on the way stays.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const typed =
      event.detail.target.id === "hostname-field" && event.detail.target.querySelector("input[type=text]");
    if (typed && typed.value !== event.detail.requestConfig.parameters[typed.name])
      event.detail.shouldSwap = false;
  });
  // Prechecks that could not be loaded: the link to the page that shows them takes the skeleton's place.
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) event.detail.elt.classList.add("failed");
  });
})();
