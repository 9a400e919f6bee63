"""TEMP facade."""
from uuid import UUID
from frontdesk.agents.models import Definitions
from frontdesk.supervisor.models import *
class Supervisor:
    def __init__(self, db, embedder, gateway, metrics): 
        self.e=embedder
    def guard(self, m, d): return None
    def language(self, m): return "en"
    async def route(self, message, definitions, state, turn_id, rows):
        v = await self.e.embed([message])
        best=(-1,None)
        for a in definitions.agents.values():
            ex = await self.e.embed(list(a.examples) or [a.description])
            sc=float((ex@v[0]).max())
            best=max(best,(sc,a.name))
        if state.pending and best[0]<0.7: 
            return Decision(Stage.PENDING,"pending",(Intent(state.pending[-1].agent,1.0,message),))
        return Decision(Stage.EMBEDDING,"temp",(Intent(best[1],best[0],message),))
    async def fit(self, definitions): return False
