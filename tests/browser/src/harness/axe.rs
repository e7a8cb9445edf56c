//! Checks whether a page is accessible, with axe-core.

use super::tab::Tab;

/// axe-core 4.14.1, unchanged; its licence, MPL-2.0, is named in it.
const AXE: &str = include_str!("axe.min.js");

/// Fails with every violation of WCAG 2.2 AA and of axe's best practices in the state that `tab` shows.
pub(crate) async fn assert_accessible(tab: &Tab) {
    if !tab.run::<bool>("return Boolean(window.axe)").await {
        tab.run::<()>(AXE).await;
    }
    let rules = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']";
    let violations: Vec<String> = tab
        .run(&format!(
            "const {{ violations }} = await axe.run(document, {{ runOnly: {rules} }});
             return violations.map(({{ id, nodes }}) => `${{id}}: ${{nodes.map((node) =>
               `${{node.html.slice(0, 120)}} ${{node.failureSummary}}`).join(' | ')}}`);"
        ))
        .await;
    assert!(violations.is_empty(), "{violations:#?}");
}
