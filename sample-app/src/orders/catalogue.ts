/** What the shop sells and for how much, in cents. How much of it there is, only the inventory knows. */
export const catalogue = {
  keyboard: 8_900,
  monitor: 32_900,
  headset: 12_900,
} as const;

export type Product = keyof typeof catalogue;

export const products = Object.keys(catalogue) as Product[];
