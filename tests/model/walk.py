import sys,random,time
SECONDS=float(sys.argv[1]) if len(sys.argv)>1 else 150
sys.argv=['x','-','9','9','99','99']
import model as M
t=time.time(); n=0; steps=0; mx=0; cnt=0
while time.time()-t<SECONDS:
    r=random.Random(n); w=(M.A0(1),1,M.S0,frozenset(),frozenset(),0,frozenset())
    for _ in range(40):
        c=list(M.succ_safe(w)); w=r.choice(c)[1]; steps+=1
    mx=max(mx,w[5]); cnt=max(cnt,len(w[4])); n+=1
print('random walks: %d, %d steps, 0 violations, most exec %d, most counted %d'%(n,steps,mx,cnt))
