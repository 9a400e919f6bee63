"""Messages that need no tool: a greeting, thanks, a goodbye, or a wish that extraction can't fulfil."""

import re

from frontdesk.llm.providers.local import phrases
from frontdesk.llm.slots.text import fold, one_of, word_set, words

_GREETINGS = (
    "hi,hi there,hello,hello there,hey,hey there,good morning,good afternoon,good evening,good day,greetings,howdy,"
    "hola,buenas,buenos dias,buenas tardes,buenas noches,hallo,"
    "guten tag,guten morgen,guten abend,moin,servus,gruß gott,"
    "bonjour,bonsoir,salut,coucou,ola,oi,bom dia,boa tarde,boa noite,halo,hai,selamat pagi,selamat siang,selamat sore,"
    "selamat malam,assalamualaikum,is anybody there,anyone there,are you there"
)
_THANKS = (
    "thanks,thank you,thank you very much,thank you so much,thanks a lot,thanks so much,many thanks,cheers,thx,ty,"
    "much appreciated,i appreciate it,that's all,that is all,that's all thanks,that will be all,nothing else,"
    "gracias,muchas gracias,mil gracias,eso es todo,nada mas,danke,danke schon,dankeschon,vielen dank,besten dank,"
    "das ist alles,das war's,merci,merci beaucoup,merci bien,c'est tout,obrigado,obrigada,"
    "muito obrigado,muito obrigada,e so isso,e tudo,terima kasih,makasih,terima kasih banyak,itu saja"
)
_GOODBYES = (
    "bye,bye bye,goodbye,good bye,see you,see you later,have a nice day,have a good day,take care,good night,"
    "adios,hasta luego,hasta pronto,chao,chau,tschuss,auf wiedersehen,bis bald,ciao,au revoir,a bientot,bonne journee,"
    "tchau,ate logo,ate mais,adeus,sampai jumpa,dadah,selamat tinggal"
)
# Said along with these and meaning nothing more.
_POLITE = word_set(
    "there all everyone team sir madam so very much a lot for your the help great perfect ok okay good well then again "
    "and you wonderful awesome nice excellent cool right yes no now today have day "
    "todos por su tu la ayuda perfecto bien vale muy y que tenga buen dia "
    "zusammen fur die ihre hilfe super prima gut sehr und schonen tag noch einen ja nein "
    "tous pour votre aide parfait tres et oui non d'accord "
    "pela pelo sua ajuda muito bom e perfeito tudo bem sim "
    "atas bantuannya ya baik pak bu kak semua banyak"
)
_KINDS = (
    (re.compile(rf"(?<!\w)(?:{one_of(_GOODBYES.split(','))})(?!\w)"), phrases.GOODBYE),
    (re.compile(rf"(?<!\w)(?:{one_of(_THANKS.split(','))})(?!\w)"), phrases.WELCOME),
    (re.compile(rf"(?<!\w)(?:{one_of(_GREETINGS.split(','))})(?!\w)"), phrases.GREETING),
)
_LETTERS = re.compile(r"[^\W_]+")
# Every word of courtesy. A message with any other is more than that, which is seen without looking for phrases.
_COURTEOUS = frozenset(_LETTERS.findall(" ".join([_GOODBYES, _THANKS, _GREETINGS, *_POLITE])))
_PLEASE = (
    r"^(?:(?:please|can you|could you|would you|will you|hey|hi|hello|kannst du|konnen sie|puedes|puede|peux-tu|"
    r"pouvez-vous|pode|tolong|bisa)[\s,]+)*(?:bitte\s+)?"
)
_BEYOND = re.compile(
    rf"{_PLEASE}(?:translate\b|(?:write|compose|make up|tell)\s+(?:me\s+|us\s+)?(?:a|an|some)\s+(?:\w+\s+){{0,3}}?"
    r"(?:poems?|song|story|joke|essay|code|letter|haiku|program|script|email|limerick)\b|calculate\b|(?:solve|compute)\b|"
    r"write\s+(?:me\s+)?(?:code|python|javascript)\b|"
    r"traduce|traduzca|escribe(?:me)?\s+un|cuentame\s+un\s+chiste|calcula\b|"
    r"ubersetz|schreib(?:e|en)?\s+(?:mir\s+|sie\s+)*(?:ein|einen|eine)\s+(?:\w+\s+)?"
    r"(?:gedicht|lied|geschichte|brief|aufsatz)|erzahl\S*\s+(?:mir\s+)?(?:einen\s+)?witz|berechne|"
    r"tradui(?:s|re|sez)|ecri(?:s|vez)\s+(?:-moi\s+)?un|raconte(?:z)?(?:-moi)?\s+une|calcule[rz]?\b|"
    r"traduz(?:a|ir)?\b|escreva\s+um|conta\s+uma\s+piada|"
    r"terjemahkan|buatkan\s+(?:saya\s+)?(?:puisi|cerita|lagu)|hitung(?:kan)?\b)"
    r"|^(?:what(?:'s|\s+is)\s+|how\s+much\s+is\s+)?-?\d+(?:[.,]\d+)?\s*[-+*/x×÷^]\s*-?\d+(?:[.,]\d+)?\s*(?:=|\?)*\s*$"
)


def small_talk(text: str, language: str) -> str | None:
    """The polite answer to a message that says nothing but hello, thanks or goodbye; None for any other."""
    folded = fold(text)
    if not _COURTEOUS.issuperset(_LETTERS.findall(folded)):
        return None
    for pattern, answer in _KINDS:
        if pattern.search(folded) and _is_only_polite(folded):
            return phrases.say(answer, language)
    return None


def is_beyond(text: str) -> bool:
    """Whether the contact wants something made up: a translation, a poem, a sum."""
    return bool(_BEYOND.search(fold(text).strip()))


def without_greeting(text: str) -> str:
    """The message without the hello at its beginning."""
    match = _KINDS[2][0].match(fold(text).lstrip())
    if match is None:
        return text
    rest = text.lstrip()[match.end() :].lstrip(" ,.!-")
    return rest if len(words(rest)) > 1 else text


def _is_only_polite(folded: str) -> bool:
    for pattern, _ in _KINDS:
        folded = pattern.sub(" ", folded)
    return all(word.text in _POLITE for word in words(folded))
