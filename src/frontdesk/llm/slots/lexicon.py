"""Words that finders share, folded (lower case, no accents), in English, Spanish, German, French, Portuguese and
Indonesian. Where a word is the same in two languages it means the same; those that do not are kept apart by language.
"""

import re

from frontdesk.llm.slots.text import fold, one_of, phrase_set, words

LANGUAGES = ("en", "es", "de", "fr", "pt", "id")

YES = phrase_set(
    "yes,yeah,yep,yup,sure,ok,okay,correct,right,exactly,absolutely,definitely,of course,please do,"
    "go ahead,certainly,true,affirmative,that's right,thats right,that is correct,sounds good,that works,"
    "perfect,fine,great,do it,si,claro,vale,de acuerdo,correcto,por supuesto,exacto,desde luego,perfecto,"
    "adelante,ja,jawohl,klar,gerne,genau,richtig,stimmt,in ordnung,naturlich,passt,jep,oui,ouais,"
    "d'accord,bien sur,exact,exactement,tout a fait,volontiers,parfait,sim,claro que sim,com certeza,certo,"
    "isso,isso mesmo,pode ser,perfeito,ya,iya,betul,benar,tentu,boleh,setuju,baik,oke"
)
NO = phrase_set(
    "no,nope,nah,not really,no thanks,no thank you,don't,do not,wrong,incorrect,false,never,negative,"
    "para nada,incorrecto,no gracias,tampoco,nein,nee,ne,nicht,auf keinen fall,falsch,lieber nicht,"
    "nein danke,non,pas du tout,non merci,faux,nao,nao obrigado,nao obrigada,de jeito nenhum,errado,tidak,"
    "nggak,enggak,gak,ga,bukan,jangan,tidak usah,salah"
)
# Said around an answer, not part of it.
FILLERS = phrase_set(
    "please,thanks,thank,you,hi,hello,hey,well,um,uh,oh,ok,okay,yes,yeah,sure,it's,its,it,is,"
    "that's,that,would,be,the,i'd,i,like,want,prefer,need,for,in,at,on,to,from,a,an,and,just,"
    "maybe,then,actually,will,i'll,take,make,go,with,my,me,let's,say,says,how,about,of,there,good,"
    "fine,great,instead,by,near,around,should,works,am,i'm,looking,por,favor,gracias,pues,bueno,si,"
    "es,el,la,los,las,en,de,del,un,una,quiero,quisiera,prefiero,para,mejor,bitte,danke,also,ja,"
    "das,der,die,den,dem,ich,mochte,hatte,gern,gerne,um,im,am,ist,es,ware,nehme,lieber,fur,s'il,"
    "vous,plait,merci,alors,oui,c'est,le,les,je,voudrais,veux,pour,dans,au,aux,une,plutot,obrigado,"
    "obrigada,bom,sim,e,o,os,as,eu,quero,queria,gostaria,em,no,na,do,da,um,uma,tolong,terima,"
    "kasih,ya,saya,mau,ingin,di,ke,dari,untuk,yang,pada"
)
# How a question begins.
_ASKING = phrase_set(
    "what,what's,whats,when,where,where's,who,whom,whose,why,which,how,how's,do,does,did,is,are,"
    "can,could,will,would,may,should,has,have,am,que,cual,cuales,cuando,donde,quien,por que,como,"
    "cuanto,cuanta,cuantos,cuantas,hay,puedo,puede,pueden,tienen,was,wann,wo,wohin,wer,warum,wieso,"
    "welche,welcher,welches,wie,wieviel,gibt,kann,kannst,konnen,konnten,darf,haben,habt,ist,sind,muss,"
    "quoi,quand,ou,qui,pourquoi,quel,quelle,quels,quelles,comment,combien,est-ce,y a-t-il,puis-je,"
    "peut-on,pouvez-vous,o que,qual,quais,onde,quem,por que,quanto,quantos,quantas,posso,pode,voces,tem,ha,"
    "apa,apakah,kapan,dimana,di mana,siapa,mengapa,kenapa,bagaimana,berapa,bisakah,bolehkah,adakah"
)
# Before a value that is not meant: "not Friday but Saturday", "instead of Monday".
NEGATED = re.compile(
    r"(?:\b(?:not|isn't|nicht|keine?n?|pas|nao|bukan|instead\s+of|rather\s+than|other\s+than|statt|anstatt|en\s+vez\s+de"
    r"l?|en\s+lugar\s+del?|au\s+lieu\s+d[eu]|em\s+vez\s+d[eo]|daripada|no\s+(?:el|la|a\s+las?))\s+"
    r"(?:on\s+|at\s+|the\s+|am\s+|um\s+|el\s+|le\s+|la\s+|a\s+|as\s+|na\s+|hari\s+|jam\s+)*)$"
)
# The message takes up what was said before it.
_REFERRING = re.compile(
    r"\b(?:that|this|it|there|them|those|both|same|him|her|great|good|fine|nice|perfect|works?|okay|ok|yes|yeah|yep|sure|love"
    r"|correct|right|confirm(?:ed)?|awesome|excellent|cool|suits?|si|vale|eso|ese|esa|alli|perfecto|bien|ja|das|dort|passt|gut|"
    r"genau|oui|ca|cela|celui|parfait|sim|isso|esse|essa|perfeito|ya|itu|tersebut|baik)\b"
)
# The message points at a place that was spoken of.
_THERE = re.compile(r"\b(?:there|alli|alla|ahi|dort|dorthin|dahin|la-bas|y\s+aller|sana|situ)\b")
# The desk reports what is done: everything before it belongs to that.
_DONE = re.compile(
    r"\b(?:(?:is|are|has\s+been|have\s+been|was|were|been|i've|i\s+have|we've|we\s+have|successfully)\s+(?:\w+\s+){0,2}?"
    r"(?:booked|made|confirmed|reserved|completed?|done|scheduled|purchased|registered|cancelled|canceled|moved|"
    r"rescheduled|successful|on\s+(?:its|the)\s+way)|success(?:fully|ful)?|all\s+set|went\s+through"
    r"|(?:queda|quedado|esta|sido|hemos|he)\s+(?:\w+\s+){0,2}?(?:reservad|confirmad|cancelad|cambiad|registrad|hech)\w*"
    r"|(?:ist|sind|wurde|wurden|haben|habe)\s.{0,60}?\b(?:gebucht|bestatigt|reserviert|erledigt|storniert|abgesagt|"
    r"verschoben|eingetragen|vereinbart)"
    r"|(?:est|sont|a\s+ete|ont\s+ete|avons|ai)\s+(?:\w+\s+){0,2}?(?:reserve|confirme|annule|deplace|enregistre|effectue)e?s?"
    r"|(?:foi|esta|ficou|foram)\s+(?:\w+\s+){0,2}?(?:reservad|marcad|confirmad|cancelad|alterad|registad|feit)[oa]s?"
    r"|(?:sudah|telah|berhasil)\s+(?:\w+\s+){0,2}?(?:dipesan|dikonfirmasi|dibatalkan|dibuat|diubah|terdaftar|dijadwalkan))\b"
)
_CANCEL = re.compile(
    r"^(?:(?:no|oh|ok|okay|well|sorry|actually|please|ah|hm+|nein|non|nao|tidak|bitte|ach)[\s,.!]+)*(?:"
    r"(?:just\s+)?(?:never\s*mind|nevermind|forget\s+(?:it|that|about\s+it|about\s+that)|cancel(?:\s+(?:it|that|this))?|stop(?:\s+"
    r"(?:it|that|this))?|drop\s+(?:it|that)|leave\s+it|scrap\s+that|don't\s+bother|i\s+(?:don't|do\s+not)\s+want\s+"
    r"(?:to|it|that|this)(?:\s+any\s*more)?|i(?:'ve|\s+have)?\s+changed\s+my\s+mind)"
    r"|olvidalo|olvidelo|dejalo|dejelo|no\s+importa|cancela(?:lo|r)?|cancelalo|ya\s+no(?:\s+(?:quiero|hace\s+falta))?"
    r"|vergiss\s+es|vergessen\s+sie\s+(?:es|das)|lass(?:en\s+sie)?\s+(?:es|das)|egal|abbrechen|abbruch|doch\s+nicht|schon\s+gut"
    r"|laisse(?:z)?\s+tomber|oublie(?:z)?(?:\s+(?:ca|cela))?|annule(?:z|r)?(?:\s+(?:ca|cela|tout))?|peu\s+importe|ce\s+n'est\s+pas"
    r"\s+grave|tant\s+pis"
    r"|esquec[ae](?:\s+isso)?|deixa(?:\s+(?:pra\s+la|para\s+la|isso))?|deixe\s+isso|nao\s+importa|cancela(?:\s+isso)?|desisto"
    r"|lupakan(?:\s+saja)?|batalkan(?:\s+saja)?|batal|tidak\s+jadi|ga(?:k)?\s+jadi|nggak\s+jadi"
    r")(?:[\s,]+(?:please|then|thanks|thank\s+you|por\s+favor|gracias|bitte|danke|merci|s'il\s+vous\s+plait|obrigad[oa]|saja|"
    r"terima\s+kasih|for\s+now|all|mejor))*[\s.!]*$"
)
_YES_NO = re.compile(rf"(?<![\w'])(?:(?P<no>{one_of(NO)})|(?P<yes>{one_of(YES)}))(?![\w'])")


def yes_or_no(text: str, *, whole: bool = False) -> bool | None:
    """What the text says to a yes-or-no question; None when neither, or when it first says one and then the other.

    With `whole`, a text that says anything else besides is None too.
    """
    folded = fold(text)
    found = list(_YES_NO.finditer(folded))
    if not found:
        return None
    if whole and any(word.text not in FILLERS for word in words(_YES_NO.sub(" ", folded))):
        return None
    # "no, that's right": the first word decides. A "no" anywhere else outweighs a "fine".
    if words(folded[: found[0].start()]) and any(match["no"] for match in found) != all(match["no"] for match in found):
        return None
    return found[0]["yes"] is not None


def is_question(text: str) -> bool:
    folded = fold(text).strip()
    if folded.endswith(("?", "？", "؟")) or folded.startswith("¿"):
        return True
    asked = words(folded)
    return bool(asked) and (asked[0].text in _ASKING or folded.startswith(("por que", "o que", "di mana", "y a-t-il")))


def is_cancel(text: str) -> bool:
    """The contact gives up what is pending, and says no more than that."""
    return bool(_CANCEL.match(fold(text).strip()))


def refers_back(text: str) -> bool:
    """The text accepts or points at what was said before ("that works", "book it", "there")."""
    return bool(_REFERRING.search(fold(text)))


def points_there(text: str) -> bool:
    """The text points at a place that was spoken of ("a cab to get there")."""
    return bool(_THERE.search(fold(text)))


def says_done(text: str) -> bool:
    """The text reports that something was done ("Your table is booked")."""
    return bool(_DONE.search(fold(text)))
