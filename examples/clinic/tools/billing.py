"""The clinic's billing desk: insurers and their terms, and orders for copies of invoices."""

from typing import Any, NamedTuple  # arguments and records are JSON

from frontdesk.tools.types import ToolContext

COPIES = "invoice_copies"


class Insurer(NamedTuple):
    accepted: bool = True
    direct_billing: bool = True
    general_practice_eur: int = 15
    specialist_eur: int = 30
    referral: bool = False
    pre_authorisation: tuple[str, ...] = ("MRI", "CT", "planned operations")


INSURERS = {
    "Aurelia Health": Insurer(referral=True),
    "Northwind Mutual": Insurer(),
    "Harbour Life": Insurer(),
    "Civic Care": Insurer(referral=True),
    "Meridian Global": Insurer(),
    "HealthNet": Insurer(general_practice_eur=0, specialist_eur=0, referral=True),
    "EHIC": Insurer(general_practice_eur=0, specialist_eur=0, referral=True),
    "other": Insurer(direct_billing=False, general_practice_eur=65, specialist_eur=120),
}


async def check_insurance(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    name = arguments["insurer"]
    terms = INSURERS[name]
    texts = TEXTS.get(context.language, TEXTS["en"])
    sentences = [texts["direct" if terms.direct_billing else "invoice"].format(insurer=name)]
    sentences.append(texts["share"].format(general=terms.general_practice_eur, specialist=terms.specialist_eur))
    if terms.referral:
        sentences.append(texts["referral"])
    sentences.append(texts["pre_authorisation"])
    return {
        "insurer": name,
        "accepted": terms.accepted,
        "direct_billing": terms.direct_billing,
        "own_share_eur": {"general_practice": terms.general_practice_eur, "specialist": terms.specialist_eur},
        "referral": terms.referral,
        "pre_authorisation": list(terms.pre_authorisation),
        "message": " ".join(sentences),
    }


async def request_invoice_copy(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    number, email = arguments["invoice_number"], arguments["email"]
    value = {"contact": context.contact, "invoice_number": number, "email": email, "at": context.now.isoformat()}
    # One order a call: a repeated call finds its own record.
    await context.records.insert(COPIES, context.idempotency_key, value, made_by=context.idempotency_key)
    text = TEXTS.get(context.language, TEXTS["en"])["copy"]
    return {"invoice_number": number, "message": text.format(number=number, email=email)}


TEXTS = {
    "en": {
        "direct": "Yes, we accept **{insurer}** and bill it directly.",
        "invoice": "We do not bill this insurer directly: you pay at the desk and get an itemised invoice to send in.",
        "share": "You pay {general} euros for general practice and {specialist} euros for a specialist.",
        "referral": "A specialist visit needs a referral from your general practitioner.",
        "pre_authorisation": "MRI, CT and planned operations need pre-authorisation, which we request for you.",
        "copy": "A copy of invoice {number} will be sent to {email} within two working days, free of charge. "
        "For your privacy it goes out only if that address is on file with us.",
    },
    "es": {
        "direct": "Sí, aceptamos **{insurer}** y le facturamos directamente.",
        "invoice": "No facturamos directamente a esta aseguradora: usted paga aquí y recibe una factura detallada.",
        "share": "Paga {general} euros en medicina general y {specialist} euros con un especialista.",
        "referral": "Para un especialista hace falta un volante de su médico de cabecera.",
        "pre_authorisation": "La resonancia, el TAC y las operaciones programadas requieren autorización, que pedimos.",
        "copy": "Enviaremos una copia de la factura {number} a {email} en dos días laborables, sin coste. "
        "Por su privacidad, solo se envía si esa dirección consta en nuestros datos.",
    },
    "de": {
        "direct": "Ja, wir akzeptieren **{insurer}** und rechnen direkt ab.",
        "invoice": "Mit dieser Versicherung rechnen wir nicht direkt ab: Sie zahlen hier und erhalten eine Rechnung.",
        "share": "Sie zahlen {general} Euro in der Allgemeinmedizin und {specialist} Euro bei Fachärzten.",
        "referral": "Für Fachärzte brauchen Sie eine Überweisung aus der Allgemeinmedizin.",
        "pre_authorisation": "MRT, CT und geplante Operationen müssen genehmigt werden; das beantragen wir für Sie.",
        "copy": "Eine Kopie der Rechnung {number} geht innerhalb von zwei Werktagen kostenlos an {email}. "
        "Zu Ihrem Schutz nur dann, wenn diese Adresse bei uns hinterlegt ist.",
    },
    "fr": {
        "direct": "Oui, nous acceptons **{insurer}** et facturons directement.",
        "invoice": "Nous ne facturons pas directement cette assurance : vous payez sur place et recevez une facture.",
        "share": "Vous payez {general} euros en médecine générale et {specialist} euros chez un spécialiste.",
        "referral": "Une consultation de spécialiste demande une lettre de votre médecin généraliste.",
        "pre_authorisation": "IRM, scanner et opérations programmées demandent un accord, que nous sollicitons.",
        "copy": "Une copie de la facture {number} sera envoyée à {email} sous deux jours ouvrés, sans frais. "
        "Pour votre sécurité, seulement si cette adresse figure dans votre dossier.",
    },
    "pt": {
        "direct": "Sim, aceitamos **{insurer}** e faturamos diretamente.",
        "invoice": "Não faturamos diretamente a esta seguradora: paga na receção e recebe uma fatura detalhada.",
        "share": "Paga {general} euros em clínica geral e {specialist} euros num especialista.",
        "referral": "Uma consulta de especialidade precisa de referência do seu médico de família.",
        "pre_authorisation": "Ressonância, TAC e operações programadas precisam de autorização, que nós pedimos.",
        "copy": "Uma cópia da fatura {number} será enviada para {email} em dois dias úteis, sem custos. "
        "Para sua segurança, só se esse endereço constar dos nossos dados.",
    },
    "id": {
        "direct": "Ya, kami menerima **{insurer}** dan menagih langsung.",
        "invoice": "Kami tidak menagih langsung ke asuransi ini: Anda membayar di meja dan menerima rincian tagihan.",
        "share": "Anda membayar {general} euro untuk dokter umum dan {specialist} euro untuk spesialis.",
        "referral": "Kunjungan ke spesialis memerlukan rujukan dari dokter umum Anda.",
        "pre_authorisation": "MRI, CT, dan operasi terencana memerlukan persetujuan asuransi, yang kami mintakan.",
        "copy": "Salinan tagihan {number} akan dikirim ke {email} dalam dua hari kerja tanpa biaya. "
        "Demi privasi Anda, hanya jika alamat itu tercatat pada kami.",
    },
}
