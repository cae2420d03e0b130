/** Where looking through rows by their ids begins: before every id that there can be. */
export const FIRST_CURSOR = '00000000-0000-0000-0000-000000000000'
