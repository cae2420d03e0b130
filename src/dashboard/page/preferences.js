/** What this browser remembers: the theme, and whether single keys act. Nothing else is stored. */

/** @typedef {'system' | 'light' | 'dark'} Theme */

const THEME = 'walhook.theme'
const KEYS = 'walhook.keys'

/** @returns {Theme} */
export function theme() {
  const stored = read(THEME)
  return stored === 'light' || stored === 'dark' ? stored : 'system'
}

/** @param {Theme} value */
export function setTheme(value) {
  write(THEME, value)
  applyTheme()
}

export function applyTheme() {
  const value = theme()
  if (value === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = value
}

export function singleKeysAct() {
  return read(KEYS) !== 'off'
}

/** @param {boolean} act */
export function setSingleKeysAct(act) {
  write(KEYS, act ? 'on' : 'off')
}

/** Storage can be forbidden. @param {string} name */
function read(name) {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}

/** @param {string} name @param {string} value */
function write(name, value) {
  try {
    localStorage.setItem(name, value)
  } catch {
    // Then it holds for as long as the page is open, or not at all.
  }
}
