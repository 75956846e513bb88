"""One self-contained HTML page per question: nothing is fetched, so a page opens anywhere and for ever."""
