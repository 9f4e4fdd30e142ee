// @ts-check
/** What Hydrogen's interface leaves unsaid to those who don't see it. */

/** @type {[selector: string, attribute: string, value: string][]} */
const ATTRIBUTES = [
  ['.MessageComposer_input textarea', 'aria-label', 'Message'],
  ['.RoomHeader .close-middle', 'aria-label', 'Close room'],
  ['.RightPanelView .close', 'aria-label', 'Close'],
  ['.RightPanelView .back', 'aria-label', 'Back'],
  ['.CreateRoomView_selectAvatar', 'aria-label', 'Choose a picture of the room'],
  ['.Settings input[type=range]', 'aria-label', 'Size of sent pictures'],
  ['input[autocomplete=autocomplete]', 'autocomplete', 'off'],
  ['.menu[role=menu] > li', 'role', 'none'],
  ['.menu[role=menu] .menu-item', 'role', 'menuitem'],
  ['.LeftPanel', 'role', 'navigation'],
  ['.RightPanelView', 'role', 'complementary'],
];

/**
 * Keep the attributes in place while Hydrogen changes its views.
 * @param {HTMLElement} container
 */
export function improveAccessibility(container) {
  const improve = () => {
    for (const [selector, attribute, value] of ATTRIBUTES) {
      for (const element of container.querySelectorAll(selector)) {
        if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
      }
    }
  };
  new MutationObserver(improve).observe(container, { childList: true, subtree: true });
  improve();
}
