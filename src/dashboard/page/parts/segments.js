/** A choice of few, side by side. */
import { h } from '../dom.js'

/**
 * @param {{ label: string, name: string, options: readonly (readonly [string, string])[], value: string, onChange: (value: string) => void }} options
 */
export function segments({ label, name, options, value, onChange }) {
  return h(
    'fieldset',
    { class: 'segments' },
    h('legend', { class: 'visually-hidden' }, label),
    options.map(([option, text]) =>
      h(
        'label',
        {},
        h('input', {
          type: 'radio',
          name,
          value: option,
          checked: option === value,
          onchange: () => onChange(option),
        }),
        h('span', {}, text),
      ),
    ),
  )
}
