"""Where each text came from and under which licence: what may enter the samples, and nothing else may."""

from __future__ import annotations

from urllib.parse import urlsplit

# Classes of CONTRACTS.md that the samples may hold. GPL and GFDL documents, NC, ND and pages whose texts belong to
# their publishers are left out; so are the repositories that add terms of their own to a licence.
ALLOWED = ("permissive", "public", "by", "by-sa")

# origin -> (SPDX expression, class); MPL-2.0 and CC-BY-SA count as by-sa: attribution, changes under the same licence
ORIGINS = {
    "apt:debian-handbook": ("CC-BY-SA-3.0", "by-sa"),  # offered as GPL-2.0+ or CC-BY-SA-3.0: taken under the latter
    "apt:dict-jargon": ("public domain", "public"),
    "apt:gnome-user-docs": ("CC-BY-SA-3.0", "by-sa"),
    "apt:apache2-doc": ("Apache-2.0", "permissive"),
    "apt:libreoffice-help": ("MPL-2.0", "by-sa"),
    "apt:nodejs-doc": ("MIT", "permissive"),
    "apt:postgresql-doc-15": ("PostgreSQL", "permissive"),
    "apt:python-django-doc": ("BSD-3-Clause", "permissive"),
    "apt:python-scipy-doc": ("BSD-3-Clause", "permissive"),
    "apt:python-sympy-doc": ("BSD-3-Clause", "permissive"),
    "apt:python3.11-doc": ("PSF-2.0", "permissive"),
    "apt:rust-doc": ("MIT OR Apache-2.0", "permissive"),
    "apt:sqlite3-doc": ("public domain", "public"),
    "github:chinese-poetry/chinese-poetry": ("MIT", "permissive"),
    "github:pingcap/docs-cn": ("CC-BY-SA-3.0", "by-sa"),
    "github:reactjs/zh-hans.react.dev": ("CC-BY-4.0", "by"),
    "github:reactjs/zh-hant.react.dev": ("CC-BY-4.0", "by"),
    "github:rust-lang-cn/book-cn": ("MIT OR Apache-2.0", "permissive"),
    "github:tldr-pages/tldr": ("CC-BY-4.0", "by"),
    "github:cp-algorithms/cp-algorithms": ("CC-BY-SA-4.0", "by-sa"),
    "github:OpenLogicProject/OpenLogic": ("CC-BY-4.0", "by"),
    "github:spencermountain/wtf_wikipedia": ("CC-BY-SA-3.0", "by-sa"),
    "github:pytorch/examples": ("CC-BY-SA-3.0", "by-sa"),
    "github:standardebooks": ("CC0-1.0", "public"),
    "github:python/cpython": ("PSF-2.0", "permissive"),
    "github:golang/go": ("BSD-3-Clause", "permissive"),
    "github:rust-lang/rust": ("MIT OR Apache-2.0", "permissive"),
    "github:hiyouga/LLaMA-Factory": ("Apache-2.0", "permissive"),
    "github:teknium1/GPTeacher": ("MIT", "permissive"),
    "github:yizhongw/self-instruct": ("Apache-2.0", "permissive"),
    "github:openai/grade-school-math": ("MIT", "permissive"),
    "github:XiaoMi/cmath": ("CC-BY-4.0", "by"),
    "github:deepseek-ai/DeepSeek-Math": ("MIT", "permissive"),
    "github:ruixiangcui/AGIEval": ("MIT", "permissive"),
    "github:cybertronai/bflm": ("CC-BY-4.0", "by"),
    "github:ybisk/ybisk.github.io": ("AFL-3.0", "permissive"),
    "github:klosax/hellaswag_text_data": ("MIT", "permissive"),
    "github:openai/human-eval": ("MIT", "permissive"),
    "made here": ("Apache-2.0", "permissive"),
}

HOSTS = {
    "debian-handbook.info": "apt:debian-handbook",
    "doc.rust-lang.org": "apt:rust-doc",
    "docs.djangoproject.com": "apt:python-django-doc",
    "docs.python.org": "apt:python3.11-doc",
    "docs.scipy.org": "apt:python-scipy-doc",
    "docs.sympy.org": "apt:python-sympy-doc",
    "help.libreoffice.org": "apt:libreoffice-help",
    "httpd.apache.org": "apt:apache2-doc",
    "nodejs.org": "apt:nodejs-doc",
    "www.postgresql.org": "apt:postgresql-doc-15",
    "www.sqlite.org": "apt:sqlite3-doc",
}


def origin_of(name: str | None) -> str | None:
    """The key of ORIGINS for an origin as a provenance file spells it (a commit, a language, a path may follow)."""
    spelled = (name or "").split("@")[0]
    return max((key for key in ORIGINS if spelled.startswith(key)), key=len, default=None)


def origin_of_url(url: str) -> str | None:
    """The origin of a web page by its host; None where its licence is not one of ours."""
    return HOSTS.get(urlsplit(url).netloc)
