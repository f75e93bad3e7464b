// The last minutes as charts, one below the other on the same time. A moment that is looked back at
// is marked in all of them, and their legends show its values.

const CHARTS = [
  {
    id: 'requests', title: 'Requests a second', unit: rate, area: true,
    series: [{key: 'requests', name: 'answered', look: 'line-1'}],
  },
  {
    id: 'latency', title: 'Latency', unit: milliseconds, isLogarithmic: true,
    series: [{key: 'p50', name: 'p50', look: 'line-1'}, {key: 'p90', name: 'p90', look: 'line-2'},
             {key: 'p99', name: 'p99', look: 'line-3'}],
  },
  {
    id: 'errors', title: 'Errors a second', unit: rate,
    series: [{key: 'serverErrors', name: '5xx', look: 'line-4'},
             {key: 'rejected', name: 'own', look: 'line-3'},
             {key: 'limited', name: '429', look: 'line-2'},
             {key: 'retries', name: 'retries', look: 'line-1'}],
  },
];

const HEIGHT = 118;
const MARGIN = {top: 8, right: 4, bottom: 20, left: 56};

class Chart {
  constructor(plan, onPoint) {
    this.plan = plan;
    this.values = plan.series.map(() => el('output', {class: 'value'}, '–'));
    const legend = el('ul', {class: 'legend'}, ...plan.series.map((series, i) => el(
        'li', {},
        svg('svg', {class: 'swatch', viewBox: '0 0 20 8', 'aria-hidden': 'true'},
            svg('path', {class: `line ${series.look}`, d: 'M0 4h20'})),
        el('span', {}, series.name), this.values[i])));
    this.svg = svg('svg', {class: 'chart', role: 'img', height: HEIGHT});
    this.element = el('figure', {id: `chart-${plan.id}`},
                      el('figcaption', {}, el('h3', {}, plan.title), legend), this.svg);
    this.svg.addEventListener('pointermove', (event) => {
      const box = this.svg.getBoundingClientRect();
      onPoint((event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right));
    });
    this.svg.addEventListener('pointerleave', () => onPoint(null));
  }

  // `now`: the right edge; `moment`: the point that is looked at, or null for the latest.
  draw(points, now, moment) {
    const width = Math.max(200, this.svg.clientWidth);
    const x = d3.scaleLinear().domain([now - HISTORY_MS, now])
                  .range([MARGIN.left, width - MARGIN.right]);
    const y = this.#scale(points);
    const shown = moment ?? points.at(-1);
    this.svg.replaceChildren(...this.#axes(x, y, width), ...this.#lines(points, x, y),
                             ...this.#marks(moment, x, y));
    this.plan.series.forEach((series, i) => {
      setText(this.values[i], this.plan.unit(shown && !shown.isGap ? shown[series.key] : null));
    });
    setAttribute(this.svg, 'aria-label', this.#inWords(points));
  }

  #scale(points) {
    const range = [HEIGHT - MARGIN.bottom, MARGIN.top];
    const values = points.filter((point) => !point.isGap)
                       .flatMap((point) => this.plan.series.map(({key}) => point[key]))
                       .filter((value) => value !== null);
    if (!this.plan.isLogarithmic) {
      return d3.scaleLinear().domain([0, Math.max(1, ...values)]).nice(3).range(range);
    }
    const positive = values.filter((value) => value > 0);
    const low = positive.length ? Math.min(...positive) : 1;
    const high = positive.length ? Math.max(...positive) : 100;
    return d3.scaleLog().domain([10 ** Math.floor(Math.log10(low)),
                                 10 ** Math.ceil(Math.log10(high * 1.001))])
        .range(range).clamp(true);
  }

  #ticks(y) {
    if (!this.plan.isLogarithmic) return y.ticks(3);
    const [low, high] = y.domain().map((value) => Math.round(Math.log10(value)));
    return d3.range(low, high + 1).map((power) => 10 ** power);
  }

  #axes(x, y, width) {
    const rows = this.#ticks(y).flatMap((value) => [
      svg('path', {class: 'rule', d: `M${MARGIN.left} ${y(value)}H${width - MARGIN.right}`}),
      svg('text', {class: 'tick left', x: MARGIN.left - 8, y: y(value), dy: '0.32em'},
          this.#tickText(value, y)),
    ]);
    const every = width < 420 ? 5 : 1;
    const columns = d3.range(0, 6, every).map((minutes) => svg(
        'text', {class: `tick ${minutes === 0 ? 'end' : minutes === 5 ? 'start' : 'middle'}`,
                 x: x(x.domain()[1] - minutes * 60000), y: HEIGHT - 5},
        minutes === 0 ? 'now' : `−${minutes} min`));
    return [...rows, ...columns];
  }

  #tickText(value, y) {
    if (!this.plan.isLogarithmic) return y.tickFormat(3)(value);
    return value >= 1000 ? `${value / 1000} s` : `${value} ms`;
  }

  #lines(points, x, y) {
    const isKnown = (key) => (point) => !point.isGap && point[key] !== null;
    return this.plan.series.flatMap(({key, look}) => {
      const at = (point) => x(point.time);
      const line = d3.line().defined(isKnown(key)).x(at).y((point) => y(point[key]));
      const area = d3.area().defined(isKnown(key)).x(at).y0(y.range()[0]).y1((point) => y(point[key]));
      const paths = [svg('path', {class: `line ${look}`, d: line(points) ?? ''})];
      if (this.plan.area) paths.unshift(svg('path', {class: `area ${look}`, d: area(points) ?? ''}));
      return paths;
    });
  }

  #marks(moment, x, y) {
    if (!moment) return [];
    const line = svg('path', {class: 'moment', d: `M${x(moment.time)} ${MARGIN.top}V${y.range()[0]}`});
    const dots = this.plan.series.filter(({key}) => moment[key] !== null).map(({key, look}) => svg(
        'circle', {class: `dot ${look}`, cx: x(moment.time), cy: y(moment[key]), r: 3.5}));
    return [line, ...dots];
  }

  #inWords(points) {
    const known = points.filter((point) => !point.isGap);
    if (known.length === 0) return `${this.plan.title}: nothing is known yet.`;
    const parts = this.plan.series.map(({key, name}) => {
      const values = known.map((point) => point[key]).filter((value) => value !== null);
      if (values.length === 0) return `${name}: none`;
      return `${name}: now ${this.plan.unit(known.at(-1)[key])}, lowest ${this.plan.unit(Math.min(...values))}, highest ${this.plan.unit(Math.max(...values))}`;
    });
    return `${this.plan.title} over the last five minutes. ${parts.join('; ')}.`;
  }
}

class ChartsView {
  #scrub = byId('scrub');
  #points = [];
  #hovered = null;  // 0 (five minutes ago) to 1 (now), where the pointer is
  #charts = CHARTS.map((plan) => new Chart(plan, (where) => {
    this.#hovered = where;
    this.#redraw();
  }));

  constructor() {
    byId('charts').append(...this.#charts.map((chart) => chart.element));
    this.#scrub.addEventListener('input', () => this.#redraw());
    new ResizeObserver(() => this.#redraw()).observe(byId('charts'));
  }

  draw(points) {
    this.#points = points;
    this.#redraw();
  }

  #redraw() {
    if (this.#points.length === 0) return;
    const now = this.#points.at(-1).time;
    const moment = this.#moment(now);
    for (const chart of this.#charts) chart.draw(this.#points, now, moment);
    setText(byId('scrub-time'), moment ? timeOfDay(moment.time) : '');
    setAttribute(this.#scrub, 'aria-valuetext', moment ? this.#inWords(moment) : 'now');
  }

  // The point nearest to what is looked at; null: the latest.
  #moment(now) {
    const back = this.#hovered === null ? Number(this.#scrub.value) / 300 : this.#hovered;
    if (this.#hovered === null && back >= 1) return null;
    const time = now - (1 - Math.min(1, Math.max(0, back))) * HISTORY_MS;
    const known = this.#points.filter((point) => !point.isGap);
    if (known.length === 0) return null;
    return d3.least(known, (point) => Math.abs(point.time - time));
  }

  #inWords(moment) {
    const errors = moment.serverErrors + moment.rejected;
    return `${timeOfDay(moment.time)}: ${rate(moment.requests)} requests a second, p99 ${milliseconds(moment.p99)}, ${rate(errors)} errors a second`;
  }
}
