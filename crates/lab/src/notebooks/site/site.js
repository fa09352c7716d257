// The theme is the system's until somebody chooses another one; the choice is remembered.
const systemIsDark = matchMedia('(prefers-color-scheme: dark)');
const stored = () => { try { return localStorage.getItem('theme') } catch { return null } };
const isDark = () => (stored() ?? (systemIsDark.matches ? 'dark' : 'light')) === 'dark';

function showTheme() {
    if (stored()) document.getElementById('dark').media = isDark() ? 'screen' : 'not all';
    const button = document.getElementById('theme');
    if (!button) return;
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `${button.textContent} theme`);
}

function switchTheme() {
    const other = isDark() ? 'light' : 'dark';
    try { localStorage.setItem('theme', other) } catch { /* Then it stays as it is. */ }
    showTheme();
}

// A section is found if it has all words; those that have them in the heading come first.
const RESULTS = 12;
const AROUND = 60;

function find(words) {
    const scored = SECTIONS.map(([address, page, heading, text]) => {
        const [title, body] = [heading.toLowerCase(), `${page} ${text}`.toLowerCase()];
        const scores = words.map(word => (title.includes(word) ? 10 : 0)
            + (title === word ? 10 : 0) + Math.min(body.split(word).length - 1, 5));
        return { address, page, heading, text, score: scores.includes(0) ? 0 : scores.reduce((a, b) => a + b) };
    });
    return scored.filter(it => it.score > 0).sort((a, b) => b.score - a.score).slice(0, RESULTS);
}

function element(name, text, attributes = {}) {
    return Object.assign(document.createElement(name), { textContent: text }, attributes);
}

function excerpt(text, word) {
    const at = Math.max(text.toLowerCase().indexOf(word), 0);
    const begin = Math.max(at - AROUND, 0);
    const part = element('span', (begin ? '… ' : '') + text.slice(begin, at), { className: 'quiet' });
    const found = text.slice(at, at + word.length).toLowerCase() === word ? word.length : 0;
    if (found) part.append(element('mark', text.slice(at, at + found)));
    part.append(text.slice(at + found, at + found + 2 * AROUND));
    return part;
}

function showFound(query) {
    const list = document.getElementById('found');
    const words = query.toLowerCase().split(/\s+/).filter(word => word);
    list.hidden = !words.length;
    const found = words.length ? find(words) : [];
    list.replaceChildren(...found.map(({ address, page, heading, text }) => {
        const item = element('li', '');
        item.append(element('a', heading, { href: address }));
        if (page !== heading) item.append(element('span', ` ${page}`, { className: 'quiet' }));
        item.append(document.createElement('br'), excerpt(text, words[0]));
        return item;
    }));
    if (words.length && !found.length) list.append(element('li', 'Nothing has all of these words.'));
}

function prepareSearch(field) {
    let loaded;
    field.addEventListener('input', async () => {
        loaded ??= new Promise((resolve, reject) => document.head.append(
            element('script', '', { src: 'sections.js', onload: resolve, onerror: reject })));
        await loaded;
        showFound(field.value);
    });
    field.addEventListener('keydown', ({ key }) => {
        if (key === 'Enter') document.querySelector('#found a')?.click();
        if (key === 'Escape') { field.value = ''; showFound('') }
    });
    document.getElementById('found').addEventListener('click', ({ target }) => {
        if (target.closest('a')) { field.value = ''; showFound('') }
    });
}

showTheme();
systemIsDark.addEventListener('change', showTheme);
addEventListener('DOMContentLoaded', () => {
    const [tools, field] = ['tools', 'search'].map(id => document.getElementById(id));
    if (!tools) return;
    tools.hidden = false;
    document.getElementById('theme').addEventListener('click', switchTheme);
    if (field) prepareSearch(field);
    showTheme();
});
