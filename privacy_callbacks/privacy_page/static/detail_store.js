/**
 * Curves, histograms and slices of audits: loaded where the slider stands first, the rest in blocks behind it, each once.
 */
import { asNumber } from "./figures.js";

const BLOCK = 50;
const AT_ONCE = 4;
const MOST_HELD = 6000;

/** Loads and holds details. `onLoaded(attackId, steps)` tells of what steps more is known, also that they could not be had. */
export class DetailStore {
  constructor(source, onLoaded) {
    this.source = source;
    this.onLoaded = onLoaded;
    this.held = new Map();
    this.asked = new Set();
    this.faults = new Map();
    this.waiting = [];
    this.running = 0;
  }

  /** Asks for the details of series: at `step` first, then around it, then all of them as far as they can be held. */
  want(series, step) {
    const audits = series.reduce((sum, one) => sum + one.attack.steps.length, 0);
    const now = series.flatMap((one) => this.jobAt(one, step));
    const blocks = series.flatMap((one) => this.blocksOf(one, step, audits > MOST_HELD));
    blocks.sort((a, b) => a.distance - b.distance);
    this.waiting = [...now, ...blocks];
    if (audits > MOST_HELD) this.forgetFar(series, step);
    this.next();
  }

  /** What is known of one audit: `{item, loading, fault}`. A page in a file keeps some audits only: then the one before it. */
  at(attack, step) {
    const known = this.held.get(attack.id);
    const item = known?.get(step) ?? null;
    if (item || !attack.steps.includes(step)) return { item, loading: false, fault: null };
    if (known?.has(step)) return { item: this.source.partial ? keptBefore(known, step) : null, loading: false, fault: null };
    const fault = this.faults.get(attack.id) ?? null;
    return { item: null, loading: fault === null, fault };
  }

  /** Forgets what was loaded of an attack, or all faults if none is named, so that it is asked for again. */
  forget(attackId = null) {
    if (attackId === null) {
      const failed = [...this.faults.keys()];
      this.faults.clear();
      this.asked = new Set([...this.asked].filter((key) => !failed.some((id) => key.startsWith(`${id}\n`))));
      return;
    }
    this.held.delete(attackId);
    this.faults.delete(attackId);
    this.asked = new Set([...this.asked].filter((key) => !key.startsWith(`${attackId}\n`)));
  }

  jobAt(one, step) {
    if (!one.attack.steps.includes(step) || this.held.get(one.attack.id)?.has(step)) return [];
    return [jobOf(one, [step])];
  }

  blocksOf(one, step, near) {
    const { steps } = one.attack;
    const found = [];
    for (let from = 0; from < steps.length; from += BLOCK) {
      const block = steps.slice(from, from + BLOCK);
      const distance = Math.max(block[0] - step, step - block.at(-1), 0);
      const known = this.held.get(one.attack.id);
      if (block.every((at) => known?.has(at)) || (near && distance > BLOCK / 2)) continue;
      found.push({ ...jobOf(one, block), distance });
    }
    return found;
  }

  forgetFar(series, step) {
    const shown = new Set(series.map((one) => one.attack.id));
    for (const [id, known] of this.held) {
      const far = [...known.keys()].filter((at) => !shown.has(id) || Math.abs(at - step) > 2 * BLOCK);
      for (const at of far) known.delete(at);
      if (far.length) this.asked = new Set([...this.asked].filter((key) => !key.startsWith(`${id}\n`)));
    }
  }

  next() {
    while (this.running < AT_ONCE && this.waiting.length) {
      const job = this.waiting.shift();
      const key = `${job.id}\n${job.steps[0]}\n${job.steps.at(-1)}`;
      if (this.asked.has(key)) continue;
      this.asked.add(key);
      this.running += 1;
      this.load(job).finally(() => {
        this.running -= 1;
        this.next();
      });
    }
  }

  async load(job) {
    const last = job.steps.at(-1);
    const unknown = job.steps.filter((step) => !this.held.get(job.id)?.has(step));
    try {
      for (let from = job.steps[0]; from <= last; ) {
        const answer = await this.source.details(job.id, job.name, from, last);
        const items = answer.details.filter((item) => item && asNumber(item.step) !== null);
        const upTo = answer.more && items.length ? Math.max(...items.map((item) => item.step)) : last;
        this.keep(job, items, from, upTo);
        from = upTo + 1;
      }
      this.faults.delete(job.id);
    } catch (reason) {
      this.faults.set(job.id, String(reason?.message ?? reason).slice(0, 300));
    }
    this.onLoaded(job.id, unknown);
  }

  keep(job, items, from, upTo) {
    if (!this.held.has(job.id)) this.held.set(job.id, new Map());
    const known = this.held.get(job.id);
    // A step without an answer is known to have none: it is not asked for again.
    for (const step of job.steps) if (step >= from && step <= upTo && !known.has(step)) known.set(step, null);
    for (const item of items) known.set(item.step, item);
  }
}

function jobOf(one, steps) {
  return { id: one.attack.id, name: one.run.name, steps, distance: 0 };
}

function keptBefore(known, step) {
  const before = [...known].filter(([at, item]) => item && at <= step).map(([at]) => at);
  return before.length ? known.get(Math.max(...before)) : null;
}
