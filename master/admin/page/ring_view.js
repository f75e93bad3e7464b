// The hash ring as a ring. Outside, place by place, whose keys lie there; inside, the same put
// together by backend. Where a backend is out of use its part of a band is split: the outer half is
// still its own, the inner half belongs to whoever serves its keys meanwhile.

const BAND = {places: [196, 240], shares: [112, 184]};
const TINTS = 4;               // shades of one state, so that neighbours can be told apart
const SMALLEST_LABEL = 0.055;  // of the ring: a name needs that much room
const TOLD_AT_MOST = 12;       // backends named in the text alternative

const turn = 2 * Math.PI;

class RingView {
  #svg = byId('ring');
  #list = byId('ring-list');
  #detail = byId('ring-detail');
  #backends = [];
  #ring = null;  // /status/ring, or null before it
  #pinned = null;
  #pointed = null;

  // `status`: the latest; `ring`: the latest /status/ring, perhaps a moment older.
  draw(status, ring) {
    this.#backends = status.backends;
    this.#drawList();
    if (ring && ring !== this.#ring) {
      this.#ring = ring;
      this.#drawBands(ring);
    }
    this.#drawHub(status);
    this.#describe(status);
    this.#showChosen();
  }

  // ---- The bands ----

  #drawBands(ring) {
    const shares = new Map(this.#backends.map((backend) => [backend.name, backend.ring_share]));
    const places = svg('g', {class: 'places'}, ...this.#placePaths(ring));
    const sectors = svg('g', {class: 'sectors'}, ...this.#sectors(ring, shares));
    this.#svg.replaceChildren(places, sectors, svg('g', {class: 'hub'}));
  }

  // One path for each pair of owner and server, however many arcs it has.
  #placePaths(ring) {
    const arcs = new Map();
    const size = ring.home.length;
    for (let start = 0; start < size;) {
      const [home, serves] = [ring.home[start], ring.serves[start]];
      let end = start + 1;
      while (end < size && ring.home[end] === home && ring.serves[end] === serves) ++end;
      const pair = `${home},${serves}`;
      if (!arcs.has(pair)) arcs.set(pair, {home, serves, spans: []});
      arcs.get(pair).spans.push([start / size, end / size]);
      start = end;
    }
    return [...arcs.values()].flatMap(
        ({home, serves, spans}) => this.#split(ring, home, serves, spans, BAND.places));
  }

  // Each backend's share from twelve o'clock on, in the order of the config.
  #sectors(ring, shares) {
    let at = 0;
    const index = new Map(ring.backends.map((backend, i) => [backend.name, i]));
    return ring.backends.flatMap(({name}, home) => {
      const share = shares.get(name) ?? 0;
      if (share === 0) return [];
      const start = at;
      at += share;
      const parts = [];
      let from = start;
      for (const move of ring.moved.filter((candidate) => candidate.from === name)) {
        const to = Math.min(from + move.share, at);
        parts.push(...this.#split(ring, home, index.get(move.to) ?? -1, [[from, to]], BAND.shares));
        from = to;
      }
      if (at - from > 1e-6) parts.push(...this.#split(ring, home, home, [[from, at]], BAND.shares));
      if (share >= SMALLEST_LABEL) parts.push(this.#label(name, (start + at) / 2));
      return parts;
    });
  }

  // The arcs of one owner and one server: whole, or the owner's half and the server's.
  #split(ring, home, serves, spans, [inner, outer]) {
    const middle = (inner + outer) / 2;
    if (home === serves) return [this.#arcs(ring, home, spans, inner, outer, [home])];
    const both = [home, serves];
    return [this.#arcs(ring, home, spans, middle, outer, both),
            this.#arcs(ring, serves, spans, inner, middle - 1, both)];
  }

  #arcs(ring, painted, spans, inner, outer, about) {
    const arc = d3.arc().innerRadius(inner).outerRadius(outer);
    const d = spans.map(([start, end]) => arc({startAngle: start * turn, endAngle: end * turn}));
    const backend = ring.backends[painted];
    const look = backend ? `${backend.state} tint-${painted % TINTS}` : 'nobody';
    const names = about.map((i) => ring.backends[i]?.name ?? 'nobody');
    const title = names.length === 1 ? names[0] : `${names[0]}’s keys, served by ${names[1]}`;
    const path = svg('path', {class: `arc ${look}`, d: d.join('')},
                     svg('title', {}, title));
    path.dataset.backends = names.join(' ');  // names hold no spaces
    path.addEventListener('pointerenter', () => this.#point(names.at(-1)));
    path.addEventListener('pointerleave', () => this.#point(null));
    return path;
  }

  #label(name, middle) {
    const radius = (BAND.shares[0] + BAND.shares[1]) / 2;
    const angle = middle * turn - Math.PI / 2;
    const shown = name.length > 10 ? `${name.slice(0, 9)}…` : name;
    return svg('text', {class: 'sector-name', x: radius * Math.cos(angle),
                        y: radius * Math.sin(angle), dy: '0.35em'}, shown);
  }

  #drawHub(status) {
    const hub = this.#svg.querySelector('.hub');
    if (!hub) return;
    if (!hub.firstElementChild) {
      hub.append(svg('text', {class: 'hub-figure', y: 4}), svg('text', {class: 'hub-word', y: 32}),
                 svg('text', {class: 'hub-word', y: 52}));
    }
    const usable = status.backends.filter(isInUse).length;
    setText(hub.children[0], `${count(usable)} / ${count(status.backends.length)}`);
    setText(hub.children[1], 'in use');
    setText(hub.children[2], this.#ring ? `${count(this.#ring.points)} points` : '');
  }

  // ---- In words ----

  // What a backend serves now: its own keys while it is in use, and those of others.
  #served(name) {
    const backend = this.#backends.find((candidate) => candidate.name === name);
    if (!backend || !this.#ring) return null;
    const taken = this.#ring.moved.filter((move) => move.to === name);
    const lost = this.#ring.moved.filter((move) => move.from === name);
    const own = backend.ring_share - sum(lost.map((move) => move.share));
    return {backend, taken, lost, now: Math.max(0, own) + sum(taken.map((move) => move.share))};
  }

  #sentence(name) {
    const served = this.#served(name);
    if (!served) return '';
    const {backend, taken, lost, now} = served;
    const list = (moves, side) =>
        moves.map((move) => `${percent(move.share)} ${side} ${move[side] ?? 'nobody'}`).join(', ');
    let text = backend.backup ? `${name} is a backup` : `${name} owns ${percent(backend.ring_share)} of all keys`;
    text += ` and serves ${percent(now)} now`;
    if (taken.length > 0) text += `; taken over: ${list(taken, 'from')}`;
    if (lost.length > 0) text += `; gone meanwhile: ${list(lost, 'to')}`;
    return `${text}.`;
  }

  #describe(status) {
    const usable = status.backends.filter(isInUse).length;
    const told = status.backends.slice(0, TOLD_AT_MOST).map(({name}) => this.#sentence(name));
    const rest = status.backends.length - told.length;
    if (rest > 0) told.push(`And ${plural(rest, 'more')}, in the table of backends.`);
    setAttribute(this.#svg, 'aria-label',
                 `Hash ring of ${plural(status.backends.length, 'backend')}, ${count(usable)} in use. ${told.join(' ')}`);
  }

  #drawList() {
    reconcile(this.#list, this.#backends, ({name}) => name, ({name}) => this.#listItem(name),
              (item, backend) => this.#updateItem(item, backend));
  }

  #listItem(name) {
    const button = el('button', {type: 'button', 'aria-pressed': 'false'}, stateIcon('unknown'),
                      el('span', {class: 'name'}, name), el('span', {class: 'word'}),
                      el('span', {class: 'figure'}));
    button.addEventListener('click', () => {
      this.#pinned = this.#pinned === name ? null : name;
      this.#showChosen();
    });
    button.addEventListener('pointerenter', () => this.#point(name));
    button.addEventListener('pointerleave', () => this.#point(null));
    return el('li', {}, button);
  }

  #updateItem(item, backend) {
    const [icon, , word, figure] = item.firstElementChild.children;
    setStateIcon(icon, backend.state);
    setText(word, stateWord(backend.state));
    const served = this.#served(backend.name);
    const differs = served && Math.abs(served.now - backend.ring_share) > 0.0005;
    setText(figure, differs ? `${percent(backend.ring_share)} → ${percent(served.now)}`
                            : percent(backend.ring_share));
  }

  // ---- The one that is looked at ----

  #point(name) {
    this.#pointed = name === 'nobody' ? null : name;
    this.#showChosen();
  }

  #showChosen() {
    const chosen = this.#pointed ?? this.#pinned;
    this.#svg.classList.toggle('has-choice', chosen !== null);
    for (const path of this.#svg.querySelectorAll('.arc')) {
      path.classList.toggle('chosen', path.dataset.backends.split(' ').includes(chosen));
    }
    for (const item of this.#list.children) {
      setAttribute(item.firstElementChild, 'aria-pressed', String(item.dataset.key === this.#pinned));
    }
    setText(this.#detail, chosen ? this.#sentence(chosen) : '');
  }
}
