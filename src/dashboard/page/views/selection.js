/** Which rows of a list are ticked, and what can be done with all of them. */
import { send } from '../api.js'
import { h, replace } from '../dom.js'
import { counted } from '../format.js'
import { button, confirm } from '../parts/dialog.js'
import { failureText, told, toldFailure } from '../parts/toast.js'

/** @import { Delivery } from '../shapes.ts' */
/** @typedef {'resend' | 'cancel'} Verb */

export class Selection {
  bar = h('div', { class: 'selection', role: 'region', 'aria-label': 'Selected deliveries', hidden: true })
  /** @type {Set<string>} */
  #chosen = new Set()
  /** @type {readonly Delivery[]} */
  #offered = []
  /** @type {AbortSignal} */
  #signal
  /** @type {() => void} */
  #onDone

  /**
   * @param {AbortSignal} signal
   * @param {() => void} onDone
   */
  constructor(signal, onDone) {
    this.#signal = signal
    this.#onDone = onDone
  }

  /** @param {Delivery} delivery */
  checkbox = ({ id, event_type: type, url }) =>
    h('input', {
      type: 'checkbox',
      'data-select': id,
      'data-focus': `select ${id}`,
      'aria-label': `Select the delivery of ${type ?? 'an event'} to ${url ?? 'a deleted subscription'}`,
      checked: this.#chosen.has(id),
      onchange: (/** @type {{ target: HTMLInputElement }} */ { target }) => {
        if (target.checked) this.#chosen.add(id)
        else this.#chosen.delete(id)
        this.#draw()
      },
    })

  /** What is in the list now. @param {readonly Delivery[]} items */
  offer(items) {
    this.#offered = items
    const known = new Set(items.map(({ id }) => id))
    for (const id of this.#chosen) if (!known.has(id)) this.#chosen.delete(id)
    this.#draw()
  }

  clear() {
    this.#chosen.clear()
    this.#tick()
    this.#draw()
  }

  #all() {
    for (const { id } of this.#offered) this.#chosen.add(id)
    this.#tick()
    this.#draw()
  }

  #tick() {
    for (const box of document.querySelectorAll('input[data-select]'))
      if (box instanceof HTMLInputElement) box.checked = this.#chosen.has(box.dataset['select'] ?? '')
  }

  #draw() {
    const chosen = this.#chosen.size
    this.bar.hidden = chosen === 0
    if (chosen === 0) return
    const isAll = chosen === this.#offered.length
    replace(
      this.bar,
      h('strong', { role: 'status' }, `${chosen} selected`),
      isAll ? null : button('Select all shown', 'button quiet', () => this.#all()),
      button('Clear', 'button quiet', () => this.clear()),
      h('span', { class: 'spring' }),
      button('Cancel deliveries', 'button', () => this.#ask('cancel')),
      button('Resend', 'button primary', () => this.#ask('resend')),
    )
  }

  /** @param {Verb} verb */
  #ask(verb) {
    const ids = [...this.#chosen]
    const many = counted(ids.length, 'delivery', 'deliveries')
    confirm({
      title: verb === 'resend' ? `Resend ${many}?` : `Cancel ${many}?`,
      text:
        verb === 'resend'
          ? 'Each is attempted again at once, with its schedule from the beginning. A receiver that already has one recognises it by its webhook-id.'
          : 'Those that are pending are not attempted any more. They can be resent later.',
      verb: verb === 'resend' ? 'Resend' : 'Cancel deliveries',
      isDangerous: verb === 'cancel',
      signal: this.#signal,
      run: () => this.#run(verb, ids),
    })
  }

  /**
   * @param {Verb} verb
   * @param {readonly string[]} ids
   */
  async #run(verb, ids) {
    if (verb === 'resend') await send('POST', '/v1/deliveries/resend', { ids })
    const refused = verb === 'cancel' ? await cancelEach(ids) : []
    const done = ids.length - refused.length
    const many = counted(done, 'delivery', 'deliveries')
    if (done > 0) told(verb === 'resend' ? `${many} will be attempted again` : `${many} cancelled`)
    if (refused.length > 0)
      toldFailure(
        new Error(`${refused.length} of ${ids.length} were refused: ${[...new Set(refused)].join(' · ')}`),
      )
    this.clear()
    this.#onDone()
  }
}

/**
 * One by one: some may have been delivered meanwhile, which the others do not suffer for.
 * @param {readonly string[]} ids
 * @returns {Promise<readonly string[]>} why some could not be
 */
async function cancelEach(ids) {
  /** @type {string[]} */
  const refused = []
  for (const id of ids)
    await send('POST', `/v1/deliveries/${id}/cancel`).catch((error) => refused.push(failureText(error)))
  return refused
}
