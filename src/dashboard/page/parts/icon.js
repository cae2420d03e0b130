/** The pictograms: strokes on a 16 by 16 grid. They repeat what a word says, and are hidden from screen readers. */
import { svg } from '../dom.js'

const PATHS = {
  overview: 'M2 13.5h12M4 11V7.5M8 11V3M12 11V5.5',
  subscriptions:
    'M6.5 9.5 9.5 6.5M7 4.8l1.3-1.3a2.9 2.9 0 0 1 4.1 4.1L11 9M9 11.2l-1.3 1.3a2.9 2.9 0 0 1-4.1-4.1L5 7',
  deliveries: 'M14 2 7.2 8.8M14 2 9.7 14 7.2 8.8 2 6.3z',
  events: 'M8.7 1.8 3 9h4.6l-.5 5.2L13 7H8.3z',
  types: 'M2.5 2.5h5l6 6-5 5-6-6zM5.3 5.3h.01',
  keys: 'M9 7a3.2 3.2 0 1 0-1.6 1.9L9 10.4h1.6V12h1.6v1.6h2v-2.2z',
  copy: 'M5.5 5.5V3.8c0-.7.6-1.3 1.3-1.3h5.4c.7 0 1.3.6 1.3 1.3v5.4c0 .7-.6 1.3-1.3 1.3h-1.7M3.8 5.5h5.4c.7 0 1.3.6 1.3 1.3v5.4c0 .7-.6 1.3-1.3 1.3H3.8c-.7 0-1.3-.6-1.3-1.3V6.8c0-.7.6-1.3 1.3-1.3z',
  check: 'M3 8.5 6.3 12 13 4.5',
  cross: 'M4 4l8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3 14 14',
  warning: 'M8 2 1.8 13.2h12.4zM8 6.5v3M8 11.5h.01',
  out: 'M6 2.5H3.5v11H6M10.5 5 13.5 8l-3 3M13.5 8H6.5',
  sun: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.3v1.2M8 13.5v1.2M1.3 8h1.2M13.5 8h1.2M3.3 3.3l.8.8M11.9 11.9l.8.8M12.7 3.3l-.8.8M4.1 11.9l-.8.8',
  moon: 'M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1z',
  system: 'M2.3 3h11.4v7.5H2.3zM6 13.3h4M8 10.5v2.8',
  keyboard: 'M1.8 4h12.4v8H1.8zM4.5 6.7h.01M7 6.7h.01M9.5 6.7h.01M12 6.7h.01M5 9.5h6',
  again: 'M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3l7.5 5L5 13z',
  right: 'M6 3.5 10.5 8 6 12.5',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2.3 1.5',
  minus: 'M3.5 8h9',
  blocked: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM3.8 3.8l8.4 8.4',
}

/** @typedef {keyof typeof PATHS} IconName */

/** @param {IconName} name */
export function icon(name) {
  return svg(
    'svg',
    { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' },
    svg('path', { d: PATHS[name] }),
  )
}

/** Walhook's sign: a whale's fluke that is a hook. */
export function brandMark() {
  return svg(
    'svg',
    { class: 'brand-mark', viewBox: '0 0 32 32', 'aria-hidden': 'true', focusable: 'false' },
    svg('rect', { width: '32', height: '32', rx: '9', class: 'brand-ground' }),
    svg('path', {
      class: 'brand-line',
      d: 'M5.500 8.800c3.600-.3 7.600 1.600 10.500 5.600 2.900-4 6.900-5.900 10.500-5.600M16 14.400v5.100a4.700 4.700 0 0 1-9.400 0M6.600 19.500l-1.800 2M6.600 19.500l2.300 1.600',
    }),
  )
}
