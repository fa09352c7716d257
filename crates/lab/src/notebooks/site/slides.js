// One key, one slide: what presenters have in their hand sends these.
const FORWARD = ['ArrowRight', 'ArrowDown', 'PageDown', ' ', 'Enter'];
const BACK = ['ArrowLeft', 'ArrowUp', 'PageUp', 'Backspace'];
const slides = [...document.querySelectorAll('.slide')];

const current = () => {
    const middle = innerHeight / 2;
    return slides.findIndex(slide => slide.getBoundingClientRect().bottom > middle);
};
const tell = () => {
    document.getElementById('place').textContent = `${current() + 1} / ${slides.length}`;
};

addEventListener('keydown', event => {
    const step = FORWARD.includes(event.key) ? 1 : BACK.includes(event.key) ? -1 : 0;
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest('a, button, summary') && [' ', 'Enter'].includes(event.key)) return;
    event.preventDefault();
    slides[current() + (event.shiftKey ? -step : step)]?.scrollIntoView();
});
addEventListener('scroll', tell);
tell();
