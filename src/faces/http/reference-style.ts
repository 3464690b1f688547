// The look of the reference: the tokens of the design, as far as one quiet page needs them.
export const REFERENCE_STYLE = `
:root{color-scheme:light dark;
--bg:light-dark(#f5f6f7,#0b0d0f);--surface:light-dark(#fff,#121518);--surface-2:light-dark(#f0f2f4,#1a1e22);
--line:light-dark(#e2e6e9,#23292e);--text:light-dark(#13171a,#e8ecef);--text-2:light-dark(#47515a,#adb7bf);
--text-3:light-dark(#5f6a73,#8d98a1);--accent:light-dark(#1f51cc,#8aaeff);--focus:light-dark(#1f51cc,#9dbcff);
--teal-fg:light-dark(#0a636b,#66cdd6);--teal-bg:light-dark(#dff3f4,#0d2a2d);
--violet-fg:light-dark(#643bb8,#c1a5ff);--violet-bg:light-dark(#f1ebfd,#261d3d);
--amber-fg:light-dark(#824c00,#f6bb55);--amber-bg:light-dark(#fdf0d9,#32240b);
--red-fg:light-dark(#ad231b,#ff948a);--red-bg:light-dark(#fdeae8,#391716);
--sans:-apple-system,"Segoe UI Variable Text","Segoe UI","Inter","Roboto","Ubuntu","Cantarell","Noto Sans","Helvetica Neue",Arial,sans-serif;
--mono:ui-monospace,"SF Mono","Cascadia Mono","Menlo","Ubuntu Mono","DejaVu Sans Mono","Liberation Mono",monospace}
*{box-sizing:border-box;margin:0}
html{scroll-padding-top:16px}
body{display:grid;grid-template-columns:212px minmax(0,1fr);gap:0 32px;max-width:1120px;margin:0 auto;padding:24px;background:var(--bg);color:var(--text);font:.875rem/1.6 var(--sans)}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline;text-underline-offset:2px}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:-999px}.skip:focus{left:16px;top:16px;padding:8px 12px;background:var(--surface)}
code,pre{font-family:var(--mono);font-size:.92em}code{overflow-wrap:anywhere}
.top{grid-column:1/-1;padding-bottom:24px}
h1{font-size:1.625rem;line-height:1.25;font-weight:600;margin-bottom:8px}.version{color:var(--text-3);font-weight:400}
.top p{max-width:76ch;margin-bottom:6px;color:var(--text-2)}
nav{position:sticky;top:24px;align-self:start;max-height:calc(100vh - 48px);overflow-y:auto;font-size:.8125rem}
nav h2{font-size:.75rem;font-weight:600;margin-top:12px}nav h2 a{color:var(--text-3)}
nav ul{list-style:none;padding:0}nav li a{display:block;padding:2px 8px;border-radius:4px;color:var(--text-2)}
nav li a:hover{background:var(--surface-2);color:var(--text);text-decoration:none}
.room{margin-bottom:40px}.room>h2{font-size:1.25rem;line-height:1.25;font-weight:600;margin-bottom:12px}
article{margin-bottom:16px;padding:16px 20px;border:1px solid var(--line);border-radius:10px;background:var(--surface)}
article:target,tr:target{border-color:var(--accent);box-shadow:0 0 0 1px var(--accent)}
h3{font-size:1rem;font-weight:600}h3 a{color:var(--text)}
h4{margin:16px 0 4px;color:var(--text-3);font-size:.75rem;font-weight:600}
.route{display:flex;gap:8px;margin:4px 0 8px}.meta{margin-top:4px;color:var(--text-3);font-size:.75rem}
.method{display:inline-block;min-width:52px;padding:0 6px;border-radius:4px;font:600 .75rem/20px var(--mono);text-align:center}
.get{color:var(--teal-fg);background:var(--teal-bg)}.post,.put{color:var(--violet-fg);background:var(--violet-bg)}
.patch{color:var(--amber-fg);background:var(--amber-bg)}.delete{color:var(--red-fg);background:var(--red-bg)}
dl{border-top:1px solid var(--line)}
.field{display:grid;grid-template-columns:minmax(140px,220px) minmax(0,1fr);gap:0 16px;padding:5px 0;border-bottom:1px solid var(--line);font-size:.8125rem}
dd{overflow-wrap:anywhere}.type{color:var(--text-2)}.must{color:var(--amber-fg);font-size:.75rem}.bounds,.place{color:var(--text-3);font-size:.75rem}
.place{padding:0 5px;border:1px solid var(--line);border-radius:4px}
pre{padding:12px;border:1px solid var(--line);border-radius:6px;background:var(--surface-2);overflow-x:auto;line-height:1.6}
details{margin-top:12px;font-size:.8125rem}summary{color:var(--text-3);cursor:pointer}
dd details,.shape{margin-top:4px;font-size:.75rem}dd summary,.shape{color:var(--text-2);padding:2px 0}.shape{padding-left:1.2em}summary:hover{color:var(--text)}
dd dl{margin:4px 0 6px;padding-left:12px;border-top:0;border-left:2px solid var(--line)}
dd .field{grid-template-columns:minmax(110px,170px) minmax(0,1fr)}dd .field:last-child{border-bottom:0}
.same{color:var(--text-2);font-size:.8125rem}
.codes{display:flex;flex-wrap:wrap;gap:4px 14px;margin-top:6px;font-family:var(--mono);font-size:.75rem}
.wide{overflow-x:auto;margin-top:12px;border:1px solid var(--line);border-radius:10px;background:var(--surface)}
table{width:100%;border-collapse:collapse;font-size:.8125rem}th,td{padding:6px 12px;text-align:left;white-space:nowrap;border-bottom:1px solid var(--line)}
th{color:var(--text-3);font-size:.75rem;font-weight:600}tbody tr:last-child td{border-bottom:0}
@media(max-width:720px){body{display:block;padding:16px}nav{position:static;max-height:none;margin-bottom:32px}nav ul{display:flex;flex-wrap:wrap;margin:0 -8px}nav li a{padding:8px}article{padding:12px 14px}.field,dd .field{grid-template-columns:minmax(0,1fr)}th,td{padding:6px 8px}td:nth-child(3){min-width:110px;white-space:normal}}
@media(prefers-contrast:more){:root{--line:light-dark(#838e97,#6b7680);--text-3:var(--text-2)}}
`;
