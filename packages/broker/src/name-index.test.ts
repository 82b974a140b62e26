import { describe, expect, it } from 'vitest';
import { NameIndex } from './name-index.ts';

/** An index of names whose ids are their places in `names`. */
function indexOf(names: (string | undefined)[], secret?: number): NameIndex {
  return new NameIndex((id) => names[id] ?? '', secret);
}

function add(index: NameIndex, names: (string | undefined)[], name: string): void {
  names.push(name);
  index.add(name, names.length - 1);
}

function remove(index: NameIndex, names: (string | undefined)[], id: number): void {
  index.remove(names[id] ?? '', id);
  names[id] = undefined;
}

describe('an index of names', () => {
  it('finds the id of each name that was added, and no other', () => {
    const names: string[] = [];
    const index = indexOf(names);
    expect(index.get('news')).toBe(-1);
    for (const name of ['news', 'sport', '', 'žluťoučký kůň', '🐓']) add(index, names, name);
    expect(names.map((name) => index.get(name))).toEqual([0, 1, 2, 3, 4]);
    expect(['new', 'newss', 'News'].map((name) => index.get(name))).toEqual([-1, -1, -1]);
    expect(index.size).toBe(5);
  });

  it('finds the others after one was removed, wherever their cells meet', () => {
    // Many secrets, so that cells meet in many ways, also around the end of the table.
    for (let secret = 0; secret < 300; secret++) {
      const names: (string | undefined)[] = [];
      const index = indexOf(names, secret);
      for (let id = 0; id < 48; id++) add(index, names, `u${id}`);
      for (let id = 0; id < 48; id += 3) remove(index, names, id);
      const found = Array.from({ length: 48 }, (_, id) => index.get(`u${id}`));
      expect(found, `secret ${secret}`).toEqual(found.map((_, id) => (id % 3 === 0 ? -1 : id)));
    }
  });

  it('holds a hundred thousand names that come and go', () => {
    const names: (string | undefined)[] = [];
    const index = indexOf(names);
    for (let id = 0; id < 100_000; id++) {
      add(index, names, `channel-${id}`);
      if (id % 2 === 1) remove(index, names, id - 1);
    }
    expect(index.size).toBe(50_000);
    for (let id = 0; id < 100_000; id++) expect(index.get(`channel-${id}`)).toBe(id % 2 === 1 ? id : -1);
  });

  it('lets a name be added again, with another id', () => {
    const names: (string | undefined)[] = [];
    const index = indexOf(names);
    add(index, names, 'news');
    remove(index, names, 0);
    expect([index.get('news'), index.size]).toEqual([-1, 0]);
    add(index, names, 'news');
    expect([index.get('news'), index.size]).toEqual([1, 1]);
  });

  it('looks at one or two cells for a name, at which ones its secret decides', () => {
    const names = Array.from({ length: 64 }, (_, id) => `u${id}`);
    const lookedAt = [1, 2].map((secret) => {
      const ids: number[] = [];
      const index = new NameIndex((id) => {
        ids.push(id);
        return names.at(id)!;
      }, secret);
      for (const [id, name] of names.entries()) index.add(name, id);
      ids.length = 0;
      for (const name of names) index.get(name);
      return ids;
    });
    for (const ids of lookedAt) expect(ids.length).toBeLessThan(2 * names.length);
    expect(lookedAt[0]).not.toEqual(lookedAt[1]);
  });
});
