"""Tables of html_math: characters of formulas and their LaTeX commands."""

GREEK = (
    "α alpha β beta γ gamma δ delta ε varepsilon ϵ epsilon ζ zeta η eta θ theta ϑ vartheta ι iota κ kappa λ lambda "
    "μ mu µ mu ν nu ξ xi π pi ϖ varpi ρ rho ϱ varrho σ sigma ς varsigma τ tau υ upsilon φ varphi ϕ phi χ chi ψ psi "
    "ω omega Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Υ Upsilon Φ Phi Ψ Psi Ω Omega"
)
SIGNS = (
    "∑ sum ∏ prod ∐ coprod ∫ int ∬ iint ∭ iiint ∮ oint ⋃ bigcup ⋂ bigcap ⨁ bigoplus ⨂ bigotimes ⋁ bigvee ⋀ bigwedge "
    "± pm ∓ mp × times ÷ div ⋅ cdot · cdot ∗ ast ⋆ star ∘ circ ∙ bullet ⊕ oplus ⊖ ominus ⊗ otimes ⊙ odot ∧ wedge ∨ vee "
    "∩ cap ∪ cup ⊔ sqcup ⊓ sqcap ∖ setminus ≤ leq ≥ geq ⩽ leqslant ⩾ geqslant ≪ ll ≫ gg ≠ neq ≡ equiv ≈ approx ≅ cong "
    "≃ simeq ∼ sim ≍ asymp ∝ propto ≐ doteq ≔ coloneqq ≺ prec ≻ succ ⪯ preceq ⪰ succeq ⊂ subset ⊃ supset ⊆ subseteq "
    "⊇ supseteq ⊊ subsetneq ∈ in ∉ notin ∋ ni ⊢ vdash ⊨ models ⊥ perp ∥ parallel ∣ mid ∤ nmid ⊲ triangleleft "
    "⊳ triangleright → to ← leftarrow ↔ leftrightarrow ⇒ Rightarrow ⇐ Leftarrow ⇔ Leftrightarrow ⟶ longrightarrow "
    "⟵ longleftarrow ⟹ implies ⟺ iff ↦ mapsto ⟼ longmapsto ↑ uparrow ↓ downarrow ↗ nearrow ↘ searrow ↪ hookrightarrow "
    "↠ twoheadrightarrow ⇀ rightharpoonup ⇌ rightleftharpoons ∀ forall ∃ exists ∄ nexists ¬ neg ∅ emptyset ∞ infty "
    "∂ partial ∇ nabla √ surd ∠ angle △ triangle □ square ⊤ top ℓ ell ℏ hbar ℜ Re ℑ Im ℘ wp ℵ aleph ı imath ȷ jmath "
    "… ldots ⋯ cdots ⋮ vdots ⋱ ddots ′ prime † dagger ‡ ddagger ‖ Vert ⟨ langle ⟩ rangle 〈 langle 〉 rangle ⌈ lceil "
    "⌉ rceil ⌊ lfloor ⌋ rfloor"
)
SETS = "ℝ R ℕ N ℤ Z ℚ Q ℂ C ℙ P ℍ H"


def words(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


def _pairs(text: str, form: str) -> dict[str, str]:
    words = text.split()
    return {sign: form.format(word) for sign, word in zip(words[::2], words[1::2], strict=True)}


COMMANDS: dict[str, str] = {
    **_pairs(GREEK, "\\{}"),
    **_pairs(SIGNS, "\\{}"),
    **_pairs(SETS, "\\mathbb{{{}}}"),
    "−": "-",
    "∕": "/",
    "″": "''",
    "‴": "'''",
    "\xa0": " ",
}
"""Character to LaTeX."""
FUNCTIONS = words(
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max "
    "min Pr sec sin sinh sup tan tanh"
)
"""Names that LaTeX has a command for."""
LIMITS = words(
    "sum prod coprod bigcup bigcap bigoplus bigotimes bigvee bigwedge int iint iiint oint lim liminf limsup max min "
    "sup inf det gcd Pr overbrace underbrace operatorname"
)
"""Commands whose under- and overscripts are limits."""
INFIX = frozenset("=+-−±∓×÷⋅·<>≤≥⩽⩾≪≫≠≡≈≅≃∼∝∈∉∋⊂⊃⊆⊇∩∪∧∨→←↔⇒⇐⇔⟶⟹⟺↦∣⊢⊨⊕⊗∘∖≔")
"""Operators with a space on either side."""
ACCENTS = {
    **dict.fromkeys(("¯", "‾", "_", "ˉ", "̄", "―", "-"), "bar"),
    **dict.fromkeys(("^", "ˆ", "̂"), "hat"),
    **dict.fromkeys(("~", "˜", "̃", "∼"), "tilde"),
    **dict.fromkeys(("→", "⃗", "⇀"), "vec"),
    **dict.fromkeys(("˙", "̇", "."), "dot"),
    **dict.fromkeys(("¨", "̈", ".."), "ddot"),
    "˘": "breve",
    "ˇ": "check",
    "´": "acute",
    "`": "grave",
    "⏞": "overbrace",
    "←": "overleftarrow",
    "↔": "overleftrightarrow",
}
"""What stands over a letter, and its command."""
UNDER_ACCENTS = {**dict.fromkeys(("_", "̲", "¯", "‾"), "underline"), "⏟": "underbrace"}
"""What stands under a letter, and its command."""
VARIANTS = {
    "bold italic": "boldsymbol",
    "bold": "mathbf",
    "double struck": "mathbb",
    "double-struck": "mathbb",
    "script": "mathcal",
    "fraktur": "mathfrak",
    "sans serif": "mathsf",
    "sans-serif": "mathsf",
    "monospace": "mathtt",
}
"""Letter styles, as MathML and Unicode name them, and their commands."""
