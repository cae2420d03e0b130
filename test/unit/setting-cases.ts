/** Values that a setting takes and does not take, by its form. */

export const bool = {
  good: [
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ],
  bad: ['yes', 'TRUE', ' true', '2'],
  rule: 'has to be true or false',
} as const
export const name = {
  good: [
    ['orders_1', 'orders_1'],
    ['_', '_'],
    ['a'.repeat(63), 'a'.repeat(63)],
  ],
  bad: ['Orders', 'a-b', '1a', 'a b', 'a;drop', 'a"', 'a'.repeat(64), 'a\n'],
  rule: 'has to be a plain name',
} as const

export const adminToken = {
  good: [['a-token_of.24~characters', 'a-token_of.24~characters']],
  bad: ['a-token_of.23~character', 'a token of 24 characters', 'ä-token_of.24~characters'],
  rule: 'has to be 24 to 512 letters, digits or any of . _ ~ + / = -',
} as const
