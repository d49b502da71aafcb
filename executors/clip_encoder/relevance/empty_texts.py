"""Texts that name nothing that a picture can show. A text close to one of them means nothing to an image classifier.

They are in English, and in Chinese where the sentence encoder does not put the Chinese word close to the English one.
"""

import string

EMPTY_TEXTS = (
    *string.ascii_lowercase,
    *map(str, (*range(21), 42, 100, 123, 2024)),
    *(
        text.strip()
        for text in """
hello; hello there; hello world; hi; hey; howdy; good morning; good evening; good night; goodbye; bye; welcome; thanks;
thank you; please; sorry; excuse me; how are you; I don't know; yes; yeah; no; nope; ok; okay; maybe; sure; great; cool;
nice; bad; help; the; an; and; or; but; if; of; in; on; at; to; from; with; for; by; as; is; are; was; be; do; would;
should; it; this; that; these; you; he; she; we; they; my; your; what; who; where; when; why; how; which; because;
there; here; now; then; again; always; never; very; so; just; also; all; some; any; something; anything; nothing;
everything; other; same; thing; stuff; test; testing; this is a test; example; foo; asdf; asdfgh; hjkl; zxcv; qwerty;
lorem ipsum; abc; xyz; blah blah; aaa; ?; !!; ...; hmm; haha; wow; oh; idk; whatever; unknown; none; null; undefined;
search; find; query; video; show me; a video; never mind; what is this; 你好; 您好; 再见; 对不起; 请问; 晚安; 有; 没有;
没事; 试试; 怎么; 随便; 一二三
""".replace("\n", " ").split(";")
    ),
)
