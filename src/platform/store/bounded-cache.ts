// A cache that can't grow: what was used lately stays, what was not is made again.
//
// DESIGN. Two generations. A value is made into the young one; when that is full it becomes the
// old one and what the old one still held is forgotten. A use of an old value makes it young
// again. One look-up for a hot key, no list to reorder, at most twice `size` values.

export function boundedCache<V>(size: number, make: (key: string) => V): (key: string) => V {
  let young = new Map<string, V>();
  let old = new Map<string, V>();

  return (key) => {
    const hot = young.get(key);
    if (hot !== undefined) return hot;
    const value = old.get(key) ?? make(key);
    if (young.size >= size) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
    return value;
  };
}
